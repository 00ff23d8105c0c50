package agent

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/apply"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
	"github.com/flotilla-io/flotilla/pkg/interpreter"
)

// Options of an Agent. ClusterName, Federation and Member are needed.
type Options struct {
	// ClusterName of the member in the federation.
	ClusterName string
	// Federation and Member are the API servers.
	Federation, Member *rest.Config
	// IdentityTrouble is why the agent may lose its access to the federation, nil while all is well. It is
	// shown as the condition ConditionIdentity. Optional.
	IdentityTrouble func() error
	// Joined has something each time the federation has let this agent in anew: the cluster is registered
	// again then, although its Cluster was deleted. Optional.
	Joined <-chan struct{}
	// StateDir keeps the inventory between runs. Empty: it is rebuilt from the federation and the
	// member's labels, and drift is not repaired until the federation was reached.
	StateDir string
	// SyncMode the cluster is registered with. Default Pull.
	SyncMode clusterv1alpha1.ClusterSyncMode
	// Region, Provider, Zones and Labels of a Cluster that the agent creates. They do not change one
	// that exists.
	Region, Provider string
	Zones            []string
	Labels           map[string]string
	// AcceptFederationUID is the federation to accept in place of the one known so far.
	AcceptFederationUID types.UID
	// Heartbeat is the interval of the lease, of the member's probe, and the shortest one between
	// writes of changing numbers. Default 10 s. The lease lasts four times as long.
	Heartbeat time.Duration
	// Workers apply that many objects at once. Default 8.
	Workers int
	// Interpreter of live objects. Default interpreter.New().
	Interpreter apply.Interpreter
	// Guard against lists that are suddenly short. Default inventory.DefaultGuard.
	Guard *inventory.Guard
	// NoMesh keeps the agent from doing anything about meshes.
	NoMesh bool
	// NoMeshLocalities keeps it from giving nodes the locality of the cluster, for which it needs to
	// patch them. What was written before stays.
	NoMeshLocalities bool
	// InCluster says that this process runs in the member, where it reaches Services by their names.
	InCluster bool
	// secondLook is how long after a list that lacks works a second one has to lack them, too. Default 5 s.
	secondLook time.Duration
	// Holder names this process in the lease. Default the host's name.
	Holder string
}

// errOptions marks options that cannot work.
var errOptions = errors.New("agent options")

func (o *Options) complete() error {
	if reasons := validation.IsDNS1123Label(o.ClusterName); len(reasons) > 0 {
		return fmt.Errorf("%w: cluster name %q: %s", errOptions, o.ClusterName, reasons[0])
	}
	if o.Federation == nil || o.Member == nil {
		return fmt.Errorf("%w: connections to the federation and to the member are needed", errOptions)
	}
	if o.SyncMode == "" {
		o.SyncMode = clusterv1alpha1.Pull
	}
	if o.SyncMode != clusterv1alpha1.Pull && o.SyncMode != clusterv1alpha1.Push {
		return fmt.Errorf("%w: sync mode %q: use Pull or Push", errOptions, o.SyncMode)
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 10 * time.Second
	}
	if o.Heartbeat < 0 || o.Workers < 0 {
		return fmt.Errorf("%w: heartbeat and workers must not be negative", errOptions)
	}
	if o.secondLook == 0 {
		o.secondLook = 5 * time.Second
	}
	if o.Interpreter == nil {
		o.Interpreter = interpreter.New()
	}
	if o.Guard == nil {
		o.Guard = &inventory.DefaultGuard
	}
	if o.Holder == "" {
		o.Holder = "flotilla-agent"
	}
	return nil
}
