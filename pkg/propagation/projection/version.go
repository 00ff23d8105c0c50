package projection

import (
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// version is the low half of a resource version: it counts the changes of one
// process, from 1.
type version uint32

func formatVersion(epoch uint32, v version) string {
	return strconv.FormatUint(uint64(epoch)<<32|uint64(v), 10)
}

// parseVersion reads a resource version a client sends back. Empty and "0"
// mean "any state", as everywhere in Kubernetes.
func parseVersion(epoch uint32, s string) (v version, any bool, err error) {
	if s == "" || s == "0" {
		return 0, true, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, false, apierrors.NewBadRequest(fmt.Sprintf("resourceVersion %q is not a number", s))
	}
	if uint32(n>>32) != epoch {
		return 0, false, apierrors.NewResourceExpired(fmt.Sprintf("resourceVersion %s was given out by another run of the API server; list again", s))
	}
	return version(uint32(n)), false, nil
}

// IsProjected says whether a resource version was given out by a projection,
// as opposed to etcd, whose revisions do not reach the high half in practice.
func IsProjected(resourceVersion string) bool {
	n, err := strconv.ParseUint(resourceVersion, 10, 64)
	return err == nil && n>>32 != 0
}
