package notfound

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestNotFound(t *testing.T) {
	kind := schema.GroupResource{Group: "apps", Resource: "deployments"}
	path := apierrors.NewGenericServerResponse(404, "get", kind, "", "404 page not found", 0, true)
	object := apierrors.NewNotFound(kind, "web")
	cases := map[string]struct {
		err          error
		path, object bool
	}{
		"None":    {nil, false, false},
		"Path":    {path, true, false},
		"Object":  {object, false, true},
		"Wrapped": {fmt.Errorf("reading it: %w", path), true, false},
		"Other":   {apierrors.NewForbidden(kind, "web", errors.New("no")), false, false},
		"Plain":   {errors.New("404"), false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if Path(tc.err) != tc.path || Object(tc.err) != tc.object {
				t.Errorf("path %v, object %v", Path(tc.err), Object(tc.err))
			}
		})
	}
}
