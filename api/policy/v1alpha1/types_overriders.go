package v1alpha1

import apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

// Overriders are changes to a manifest, applied in this order: image, command,
// args, labels, annotations, field, plaintext.
type Overriders struct {
	// Plaintext changes any field by its path.
	// +optional
	// +listType=atomic
	Plaintext []PlaintextOverrider `json:"plaintext,omitempty"`

	// ImageOverrider changes parts of image names.
	// +optional
	// +listType=atomic
	ImageOverrider []ImageOverrider `json:"imageOverrider,omitempty"`

	// CommandOverrider changes the commands of containers.
	// +optional
	// +listType=atomic
	CommandOverrider []CommandArgsOverrider `json:"commandOverrider,omitempty"`

	// ArgsOverrider changes the arguments of containers.
	// +optional
	// +listType=atomic
	ArgsOverrider []CommandArgsOverrider `json:"argsOverrider,omitempty"`

	// LabelsOverrider changes the labels of the object.
	// +optional
	// +listType=atomic
	LabelsOverrider []LabelAnnotationOverrider `json:"labelsOverrider,omitempty"`

	// AnnotationsOverrider changes the annotations of the object.
	// +optional
	// +listType=atomic
	AnnotationsOverrider []LabelAnnotationOverrider `json:"annotationsOverrider,omitempty"`

	// FieldOverrider changes JSON or YAML that is the text of a field, such as
	// a value in a ConfigMap.
	// +optional
	// +listType=atomic
	FieldOverrider []FieldOverrider `json:"fieldOverrider,omitempty"`
}

// OverriderOperator says what is done.
// +enum
type OverriderOperator string

const (
	// OverriderOpAdd adds; what is already there under that key is replaced.
	OverriderOpAdd OverriderOperator = "add"
	// OverriderOpRemove removes.
	OverriderOpRemove OverriderOperator = "remove"
	// OverriderOpReplace replaces.
	OverriderOpReplace OverriderOperator = "replace"
)

// LabelAnnotationOverrider changes labels or annotations.
type LabelAnnotationOverrider struct {
	// Operator is add, remove or replace. Add sets each key; replace sets only
	// keys that exist; remove takes keys away, whatever their value.
	Operator OverriderOperator `json:"operator"`

	// Value holds the keys and their values.
	Value map[string]string `json:"value"`
}

// ImageComponent is a part of an image name, [registry/]repository[:tag][@digest].
// +enum
type ImageComponent string

const (
	// Registry is the host, and port if any, such as registry.example.com:5000.
	Registry ImageComponent = "Registry"
	// Repository is the path without host, tag and digest, such as library/nginx.
	Repository ImageComponent = "Repository"
	// Tag is the tag or the digest, such as 1.29 or sha256:....
	Tag ImageComponent = "Tag"
)

// ImageOverrider changes one part of image names.
type ImageOverrider struct {
	// Predicate says where the images are. Unset: in every container and init
	// container of a Pod, Deployment, ReplicaSet, DaemonSet, StatefulSet, Job or
	// CronJob. Other kinds need it.
	// +optional
	Predicate *ImagePredicate `json:"predicate,omitempty"`

	// Component is the part that is changed.
	Component ImageComponent `json:"component"`

	// Operator is add, remove or replace. Adding appends to the part, or sets it
	// where there is none. A digest beside a tag goes when the tag changes, or it
	// would still decide what is pulled. A repository cannot be removed.
	Operator OverriderOperator `json:"operator"`

	// Value to add or to replace with. Not looked at by remove.
	// +optional
	Value string `json:"value,omitempty"`
}

// ImagePredicate says where an image is.
type ImagePredicate struct {
	// Path is a JSON pointer (RFC 6901) to the field with the image name, such
	// as /spec/image.
	Path string `json:"path"`
}

// CommandArgsOverrider changes the command or the arguments of a container.
type CommandArgsOverrider struct {
	// ContainerName is the container, or init container, that is changed.
	// Manifests without such a container are left as they are.
	ContainerName string `json:"containerName"`

	// Operator is add or remove.
	Operator OverriderOperator `json:"operator"`

	// Value holds the items to append, or the items to remove wherever they
	// stand in the list.
	// +optional
	// +listType=atomic
	Value []string `json:"value,omitempty"`
}

// PlaintextOverrider changes one field by its path.
type PlaintextOverrider struct {
	// Path is a JSON pointer (RFC 6901) to the field, such as /spec/replicas. It
	// cannot lead to apiVersion, kind, or the name and namespace in metadata.
	Path string `json:"path"`

	// Operator is add, remove or replace as in a JSON patch (RFC 6902).
	Operator OverriderOperator `json:"operator"`

	// Value is any JSON. Not looked at by remove.
	// +optional
	Value apiextensionsv1.JSON `json:"value,omitempty"`
}

// FieldOverrider changes a document inside a text field. One of JSON and YAML
// is given; the document is read, changed and written back in that format.
type FieldOverrider struct {
	// FieldPath is a JSON pointer (RFC 6901) to the text field, such as
	// /data/config.json. The text must be one document.
	FieldPath string `json:"fieldPath"`

	// JSON changes a JSON document. It excludes YAML.
	// +optional
	// +listType=atomic
	JSON []JSONPatchOperation `json:"json,omitempty"`

	// YAML changes a YAML document. Comments in it are lost. It excludes JSON.
	// +optional
	// +listType=atomic
	YAML []YAMLPatchOperation `json:"yaml,omitempty"`
}

// JSONPatchOperation changes one place in a JSON document.
type JSONPatchOperation struct {
	// SubPath is a JSON pointer (RFC 6901) within the document.
	SubPath string `json:"subPath"`

	// Operator is add, remove or replace as in a JSON patch (RFC 6902).
	Operator OverriderOperator `json:"operator"`

	// Value is any JSON. Not looked at by remove.
	// +optional
	Value apiextensionsv1.JSON `json:"value,omitempty"`
}

// YAMLPatchOperation changes one place in a YAML document.
type YAMLPatchOperation struct {
	// SubPath is a JSON pointer (RFC 6901) within the document.
	SubPath string `json:"subPath"`

	// Operator is add, remove or replace as in a JSON patch (RFC 6902).
	Operator OverriderOperator `json:"operator"`

	// Value is any JSON. Not looked at by remove.
	// +optional
	Value apiextensionsv1.JSON `json:"value,omitempty"`
}
