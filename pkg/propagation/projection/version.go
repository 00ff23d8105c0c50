package projection

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// version is the low half of a resource version: it counts the changes of one
// process, from 1.
type version uint32

// NewEpoch draws an epoch. Start times would do for one server, but several start
// at the same second, and clocks are set back.
func NewEpoch() uint32 {
	for {
		if epoch := rand.Uint32(); epoch != 0 {
			return epoch
		}
	}
}

func formatVersion(epoch uint32, v version) string {
	return strconv.FormatUint(uint64(epoch)<<32|uint64(v), 10)
}

// parseVersion reads a resource version a client sends back. Empty and "0"
// mean "any state", as everywhere in Kubernetes.
func parseVersion(epoch uint32, s string) (v version, anyState bool, err error) {
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
