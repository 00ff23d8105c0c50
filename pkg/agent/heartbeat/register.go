package heartbeat

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

var (
	// ErrNameTaken means that another member is registered under this agent's cluster name.
	ErrNameTaken = errors.New("another member owns this cluster name")
	// ErrLeaving means that the Cluster of that name is being deleted.
	ErrLeaving = errors.New("the cluster of this name is leaving")
	// ErrMode means that the cluster is registered with another sync mode.
	ErrMode = errors.New("the cluster is registered with another sync mode")
)

// Clusters reads and writes the one Cluster object of this agent.
type Clusters interface {
	Get(ctx context.Context) (*clusterv1alpha1.Cluster, error)
	Create(ctx context.Context, cluster *clusterv1alpha1.Cluster) (*clusterv1alpha1.Cluster, error)
	Update(ctx context.Context, cluster *clusterv1alpha1.Cluster) (*clusterv1alpha1.Cluster, error)
	UpdateStatus(ctx context.Context, cluster *clusterv1alpha1.Cluster) (*clusterv1alpha1.Cluster, error)
}

// Registration is what an agent says about its cluster when it is new.
type Registration struct {
	Name     string
	ID       string // UID of the member's kube-system namespace
	SyncMode clusterv1alpha1.ClusterSyncMode
	Region   string
	Provider string
	Zones    []string
	Labels   map[string]string
}

// Register makes sure that the Cluster exists and is this member's. A Cluster that exists keeps its
// spec, but an empty ID is filled in; one that is being deleted has to be gone first. Errors that trying
// again cannot help wrap ErrNameTaken or ErrMode.
func Register(ctx context.Context, clusters Clusters, r Registration) error {
	cluster, err := clusters.Get(ctx)
	if apierrors.IsNotFound(err) {
		cluster = &clusterv1alpha1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Name: r.Name, Labels: r.Labels},
			Spec: clusterv1alpha1.ClusterSpec{
				ID: r.ID, SyncMode: r.SyncMode, Region: r.Region, Provider: r.Provider, Zones: r.Zones,
			},
		}
		if _, err = clusters.Create(ctx, cluster); err == nil {
			return nil
		}
		if apierrors.IsAlreadyExists(err) {
			cluster, err = clusters.Get(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("register cluster %s: %w", r.Name, err)
	}
	switch {
	case cluster.DeletionTimestamp != nil:
		return fmt.Errorf("register cluster %s: %w: it can join when the Cluster is gone", r.Name, ErrLeaving)
	case cluster.Spec.ID != "" && cluster.Spec.ID != r.ID:
		return fmt.Errorf("register cluster %s: %w: it has spec.id %s, this member is %s. Give this agent another --cluster-name, or delete the Cluster if the other member is gone",
			r.Name, ErrNameTaken, cluster.Spec.ID, r.ID)
	case cluster.Spec.SyncMode != r.SyncMode:
		return fmt.Errorf("register cluster %s: %w: it has spec.syncMode %s, this agent runs in mode %s. Delete the Cluster to change the mode, or stop this agent",
			r.Name, ErrMode, cluster.Spec.SyncMode, r.SyncMode)
	case cluster.Spec.ID == "":
		cluster = cluster.DeepCopy()
		cluster.Spec.ID = r.ID
		if _, err := clusters.Update(ctx, cluster); err != nil {
			return fmt.Errorf("register cluster %s: set spec.id: %w", r.Name, err)
		}
	}
	return nil
}
