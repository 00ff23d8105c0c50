package override

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// ErrBadImage is wrapped when an image name would be left without a repository,
// or a digest would be extended.
var ErrBadImage = errors.New("the image name would not be valid")

// image is an image name in parts: [registry/]repository[:tag][@digest].
type image struct {
	registry, repository, tag, digest string
}

// parseImage takes an image name apart. As for docker, what stands before the
// first slash is a registry if it has a dot or a colon in it, or is localhost.
func parseImage(name string) image {
	var img image
	name, img.digest, _ = strings.Cut(name, "@")
	if first, rest, ok := strings.Cut(name, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		img.registry, name = first, rest
	}
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.Contains(name[i:], "/") {
		name, img.tag = name[:i], name[i+1:]
	}
	img.repository = name
	return img
}

// String puts the parts together again.
func (img image) String() string {
	var b strings.Builder
	if img.registry != "" {
		b.WriteString(img.registry + "/")
	}
	b.WriteString(img.repository)
	if img.tag != "" {
		b.WriteString(":" + img.tag)
	}
	if img.digest != "" {
		b.WriteString("@" + img.digest)
	}
	return b.String()
}

func applyImage(obj *unstructured.Unstructured, o *policyv1alpha1.ImageOverrider) error {
	change := func(name string) (string, error) { return changeImage(name, o) }
	if o.Predicate != nil {
		return changeText(obj.Object, o.Predicate.Path, change)
	}
	return eachContainer(obj, func(container map[string]any) error {
		name, ok := container["image"].(string)
		if !ok || name == "" {
			return nil // some controllers fill it in later
		}
		changed, err := change(name)
		if err != nil {
			return err
		}
		container["image"] = changed
		return nil
	})
}

func changeImage(name string, o *policyv1alpha1.ImageOverrider) (string, error) {
	img := parseImage(name)
	var err error
	switch o.Component {
	case policyv1alpha1.Registry:
		img.registry, err = changePart(img.registry, o)
	case policyv1alpha1.Repository:
		img.repository, err = changePart(img.repository, o)
	case policyv1alpha1.Tag:
		err = img.changeTag(o)
	default:
		err = fmt.Errorf("component %q is none of Registry, Repository, Tag", o.Component)
	}
	if err != nil {
		return "", fmt.Errorf("image %q: %w", name, err)
	}
	if img.repository == "" {
		return "", fmt.Errorf("image %q: without a repository there is nothing to pull: %w", name, ErrBadImage)
	}
	return img.String(), nil
}

func changePart(part string, o *policyv1alpha1.ImageOverrider) (string, error) {
	switch o.Operator {
	case policyv1alpha1.OverriderOpAdd:
		return part + o.Value, nil
	case policyv1alpha1.OverriderOpReplace:
		return o.Value, nil
	case policyv1alpha1.OverriderOpRemove:
		return "", nil
	}
	return "", unknownOperator(o.Operator)
}

// changeTag changes tag and digest, which say the same in two ways. A digest
// beside a tag is dropped when the tag changes, or it would go on deciding what
// is pulled.
func (img *image) changeTag(o *policyv1alpha1.ImageOverrider) error {
	if o.Operator == policyv1alpha1.OverriderOpAdd && img.tag == "" && img.digest != "" {
		return fmt.Errorf("a digest cannot be added to; use operator replace: %w", ErrBadImage)
	}
	value, err := changePart(img.tag, o)
	if err != nil {
		return err
	}
	img.tag, img.digest, _ = strings.Cut(value, "@")
	if isDigest(img.tag) {
		img.tag, img.digest = "", img.tag
	}
	return nil
}

// isDigest tells <algorithm>:<hex> from a tag, which cannot have a colon.
func isDigest(s string) bool { return strings.Contains(s, ":") }

func unknownOperator(op policyv1alpha1.OverriderOperator) error {
	return fmt.Errorf("operator %q is not known here", op)
}
