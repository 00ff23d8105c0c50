package validation

import (
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// badEscape finds a tilde that is no escape sequence of a JSON pointer.
var badEscape = regexp.MustCompile(`~([^01]|$)`)

// validatePointer checks a JSON pointer (RFC 6901) to a place inside a document;
// the document as a whole is no such place.
func validatePointer(pointer string, path *field.Path) field.ErrorList {
	switch {
	case pointer == "":
		return field.ErrorList{field.Required(path, "write a JSON pointer such as /spec/replicas")}
	case !strings.HasPrefix(pointer, "/") || pointer == "/":
		return field.ErrorList{field.Invalid(path, pointer, "must be a JSON pointer: begin with / and name a field, such as /spec/replicas")}
	case badEscape.MatchString(pointer):
		return field.ErrorList{field.Invalid(path, pointer, "in a JSON pointer write ~ as ~0 and / inside a name as ~1")}
	}
	return nil
}

// validateTarget checks a JSON pointer into a manifest. What identifies the
// object may not be changed: the member would get another object than the one
// that the federation manages.
func validateTarget(pointer string, path *field.Path) field.ErrorList {
	if errs := validatePointer(pointer, path); len(errs) > 0 {
		return errs
	}
	tokens := strings.Split(pointer[1:], "/")
	for i := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(tokens[i], "~1", "/"), "~0", "~")
	}
	identity := false
	switch tokens[0] {
	case "apiVersion", "kind":
		identity = true
	case "metadata":
		identity = len(tokens) == 1 || tokens[1] == "name" || tokens[1] == "namespace"
	}
	if identity {
		return field.ErrorList{field.Forbidden(path,
			"apiVersion, kind, name and namespace identify the object and are the same in every cluster; use another template for another object")}
	}
	return nil
}
