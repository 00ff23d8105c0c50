package validation

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clustervalidation "github.com/flotilla-io/flotilla/api/cluster/v1alpha1/validation"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

func validateClusterName(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "name a cluster")}
	}
	if len(name) > clustervalidation.MaxNameLength {
		return field.ErrorList{field.TooLong(path, name, clustervalidation.MaxNameLength)}
	}
	var errs field.ErrorList
	for _, msg := range apivalidation.NameIsDNSLabel(name, false) {
		errs = append(errs, field.Invalid(path, name, msg))
	}
	return errs
}

func validateURL(text string, path *field.Path) field.ErrorList {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return field.ErrorList{field.Required(path, "write the URL of the API server, such as https://203.0.113.7:6443")}
	case err != nil:
		return field.ErrorList{field.Invalid(path, text, "cannot be read as a URL: "+err.Error())}
	case u.Scheme != "https" || u.Hostname() == "":
		return field.ErrorList{field.Invalid(path, text, "must be https:// and a host: a token is sent there")}
	case len(text) > meshv1alpha1.MaxReaderServer:
		return field.ErrorList{field.TooLong(path, "", meshv1alpha1.MaxReaderServer)}
	case u.Fragment != "" || u.RawQuery != "" || u.ForceQuery || u.User != nil:
		return field.ErrorList{field.Invalid(path, fmt.Sprintf("https://%s", u.Host), "must have no user, query or fragment")}
	}
	return nil
}

func oneOf[T ~string](value T, path *field.Path, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, allowed)}
}

func atLeast(value *metav1.Duration, least time.Duration, why string, path *field.Path) field.ErrorList {
	if value == nil || value.Duration >= least {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value.Duration.String(), fmt.Sprintf("must be at least %s: %s", least, why))}
}

func atMost(value *metav1.Duration, most time.Duration, why string, path *field.Path) field.ErrorList {
	if value == nil || value.Duration <= most {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value.Duration.String(), fmt.Sprintf("must be at most %s: %s", most, why))}
}
