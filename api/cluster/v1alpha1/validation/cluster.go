package validation

import (
	"fmt"
	"net/url"
	"slices"

	"golang.org/x/net/http/httpguts"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// MaxNameLength is the greatest length of a cluster's name, in bytes. Names of
// namespaces, at most 63, are made of it with a prefix.
const MaxNameLength = 48

// ValidateCluster checks a new Cluster.
func ValidateCluster(cluster *clusterv1alpha1.Cluster) field.ErrorList {
	errs := apivalidation.ValidateObjectMeta(&cluster.ObjectMeta, false, validateName, field.NewPath("metadata"))
	return append(errs, validateSpec(&cluster.Spec, field.NewPath("spec"))...)
}

// ValidateClusterUpdate checks a changed Cluster.
func ValidateClusterUpdate(cluster, old *clusterv1alpha1.Cluster) field.ErrorList {
	if apiequality.Semantic.DeepEqual(cluster.Spec, old.Spec) {
		return nil // what was stored under older rules can be labelled and deleted
	}
	path := field.NewPath("spec")
	errs := validateSpec(&cluster.Spec, path)
	if cluster.Spec.SyncMode != old.Spec.SyncMode {
		errs = append(errs, field.Invalid(path.Child("syncMode"), cluster.Spec.SyncMode,
			fmt.Sprintf("was %s and cannot change; remove the cluster from the federation and join it again", old.Spec.SyncMode)))
	}
	return errs
}

// ValidateClusterStatusUpdate checks a changed status.
func ValidateClusterStatusUpdate(cluster, _ *clusterv1alpha1.Cluster) field.ErrorList {
	status, path := &cluster.Status, field.NewPath("status")
	errs := metav1validation.ValidateConditions(status.Conditions, path.Child("conditions"))
	for i := range status.APIEnablements {
		e, p := &status.APIEnablements[i], path.Child("apiEnablements").Index(i)
		if e.GroupVersion == "" {
			errs = append(errs, field.Required(p.Child("groupVersion"), "name the group and version"))
		}
		for j, r := range e.Resources {
			if r.Name == "" {
				errs = append(errs, field.Required(p.Child("resources").Index(j).Child("name"), "name the resource"))
			}
			if r.Kind == "" {
				errs = append(errs, field.Required(p.Child("resources").Index(j).Child("kind"), "name the kind"))
			}
		}
	}
	if n := status.NodeSummary; n != nil && (n.TotalNum < 0 || n.ReadyNum < 0) {
		errs = append(errs, field.Invalid(path.Child("nodeSummary"), fmt.Sprintf("%d of %d", n.ReadyNum, n.TotalNum), "counts must not be negative"))
	}
	return errs
}

func validateName(name string, prefix bool) []string {
	if len(name) > MaxNameLength {
		return []string{validation.MaxLenError(MaxNameLength)}
	}
	return apivalidation.NameIsDNSLabel(name, prefix)
}

func validateSpec(spec *clusterv1alpha1.ClusterSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	modes := []clusterv1alpha1.ClusterSyncMode{clusterv1alpha1.Push, clusterv1alpha1.Pull}
	switch {
	case spec.SyncMode == "":
		errs = append(errs, field.Required(path.Child("syncMode"), "write Pull when an agent runs in the member, else Push"))
	case !slices.Contains(modes, spec.SyncMode):
		errs = append(errs, field.NotSupported(path.Child("syncMode"), spec.SyncMode, modes))
	}
	if spec.SyncMode == clusterv1alpha1.Push {
		if spec.APIEndpoint == "" {
			errs = append(errs, field.Required(path.Child("apiEndpoint"), "a Push cluster is reached there; write the URL of its API server"))
		}
		if spec.SecretRef == nil {
			errs = append(errs, field.Required(path.Child("secretRef"), "a Push cluster needs credentials; name the Secret with token and caBundle"))
		}
	}
	errs = append(errs, validateURL(spec.APIEndpoint, path.Child("apiEndpoint"), "https", "http")...)
	errs = append(errs, validateSecretRef(spec.SecretRef, path.Child("secretRef"))...)
	errs = append(errs, validateSecretRef(spec.ImpersonatorSecretRef, path.Child("impersonatorSecretRef"))...)
	errs = append(errs, validateURL(spec.ProxyURL, path.Child("proxyURL"), "http", "https", "socks5")...)
	errs = append(errs, validateHeaders(spec.ProxyHeader, path.Child("proxyHeader"))...)
	for i, zone := range spec.Zones {
		if zone == "" {
			errs = append(errs, field.Required(path.Child("zones").Index(i), "an empty zone stands for nothing; remove the item"))
		}
	}
	errs = append(errs, ValidateTaints(spec.Taints, path.Child("taints"))...)
	return append(errs, validateResourceModels(spec.ResourceModels, path.Child("resourceModels"))...)
}

func validateURL(text string, path *field.Path, schemes ...string) field.ErrorList {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(path, text, "cannot be read as a URL: "+err.Error())}
	case !slices.Contains(schemes, u.Scheme):
		return field.ErrorList{field.Invalid(path, text, fmt.Sprintf("must be a URL that begins with one of %v followed by ://", schemes))}
	case u.Hostname() == "":
		return field.ErrorList{field.Invalid(path, text, "must have a host")}
	case u.Fragment != "" || u.RawQuery != "":
		return field.ErrorList{field.Invalid(path, text, "must not have a query or a fragment")}
	}
	return nil
}

func validateSecretRef(ref *clusterv1alpha1.LocalSecretReference, path *field.Path) field.ErrorList {
	if ref == nil {
		return nil
	}
	var errs field.ErrorList
	if ref.Namespace == "" {
		errs = append(errs, field.Required(path.Child("namespace"), "write the namespace of the Secret"))
	} else {
		for _, msg := range apivalidation.ValidateNamespaceName(ref.Namespace, false) {
			errs = append(errs, field.Invalid(path.Child("namespace"), ref.Namespace, msg))
		}
	}
	if ref.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), "write the name of the Secret"))
	} else {
		for _, msg := range apivalidation.NameIsDNSSubdomain(ref.Name, false) {
			errs = append(errs, field.Invalid(path.Child("name"), ref.Name, msg))
		}
	}
	return errs
}

func validateHeaders(headers map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range sets.List(sets.KeySet(headers)) {
		if !httpguts.ValidHeaderFieldName(name) {
			errs = append(errs, field.Invalid(path.Key(name), name, "is not the name of an HTTP header"))
		}
		if !httpguts.ValidHeaderFieldValue(headers[name]) {
			errs = append(errs, field.Invalid(path.Key(name), "(hidden)", "has characters that an HTTP header cannot have, such as line breaks"))
		}
	}
	return errs
}

// ValidateTaints checks the taints of a cluster.
func ValidateTaints(taints []corev1.Taint, path *field.Path) field.ErrorList {
	effects := []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range taints {
		t, p := &taints[i], path.Index(i)
		if t.Key == "" {
			errs = append(errs, field.Required(p.Child("key"), "name the taint"))
		} else {
			errs = append(errs, metav1validation.ValidateLabelName(t.Key, p.Child("key"))...)
		}
		for _, msg := range validation.IsValidLabelValue(t.Value) {
			errs = append(errs, field.Invalid(p.Child("value"), t.Value, msg))
		}
		switch {
		case t.Effect == "":
			errs = append(errs, field.Required(p.Child("effect"), "write NoSchedule or NoExecute"))
		case !slices.Contains(effects, t.Effect):
			errs = append(errs, field.NotSupported(p.Child("effect"), t.Effect, effects))
		}
		id := t.Key + ":" + string(t.Effect)
		if seen.Has(id) {
			errs = append(errs, field.Duplicate(p, id))
		}
		seen.Insert(id)
	}
	return errs
}
