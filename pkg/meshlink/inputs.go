package meshlink

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// inputs reads what a plan follows from. What it gives is shared with caches and is
// not to be changed.
type inputs struct {
	// Meshes, Clusters, Members and Bindings are all there are, from caches.
	Meshes   func(ctx context.Context) ([]*meshv1alpha1.Mesh, error)
	Clusters func(ctx context.Context) ([]*clusterv1alpha1.Cluster, error)
	Members  func(ctx context.Context) ([]*meshv1alpha1.MeshMember, error)
	Bindings func(ctx context.Context) ([]*workv1alpha2.ResourceBinding, error)
	// Works are those of a Mesh, from a cache; errNotYet while that is filled.
	Works func(ctx context.Context, mesh string) ([]*workv1alpha1.Work, error)
	// Followed says whether that cache is wanted by anybody.
	Followed func() bool
	// Secret reads one live, nil when there is none.
	Secret func(ctx context.Context, namespace, name string) (*corev1.Secret, error)

	Clock clock.PassiveClock

	tokens tokens
	held   held
	// began is when the first picture was made.
	began time.Time
}

// Picture reads all about a Mesh.
func (i *inputs) Picture(ctx context.Context, mesh *meshv1alpha1.Mesh) (*plan.Picture, error) {
	if i.began.IsZero() {
		i.began = i.Clock.Now()
	}
	picture := &plan.Picture{Mesh: mesh, Tokens: map[string]plan.Token{}, Began: i.began}
	var err error
	// Works come first: what follows is then at least as new as they are.
	if picture.Works, err = i.Works(ctx, mesh.Name); err != nil {
		return nil, fmt.Errorf("reading works: %w", err)
	}
	if picture.Members, err = i.Members(ctx); err != nil {
		return nil, fmt.Errorf("reading meshmembers: %w", err)
	}
	if picture.Meshes, err = i.Meshes(ctx); err != nil {
		return nil, fmt.Errorf("reading meshes: %w", err)
	}
	if picture.Clusters, err = i.Clusters(ctx); err != nil {
		return nil, fmt.Errorf("reading clusters: %w", err)
	}
	if picture.Trust, err = i.secret(ctx, names.SystemNamespace, meshv1alpha1.TrustSecretName(mesh.Name)); err != nil {
		return nil, err
	}
	if ref := mesh.Spec.Trust.SecretRef; ref != nil && mesh.Spec.Trust.Mode == meshv1alpha1.TrustExternal {
		if picture.External, err = i.secret(ctx, ref.Namespace, ref.Name); err != nil {
			return nil, err
		}
	}
	if mesh.Spec.Links == meshv1alpha1.LinksPlacement {
		bindings, err := i.Bindings(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading resourcebindings: %w", err)
		}
		picture.Placed = placed(bindings)
		picture.Held, picture.HeldUntil = i.held.update(mesh, picture.Placed, i.Clock.Now())
	}
	i.tokens.keep(mesh.Name, picture.Members)
	for _, member := range picture.Members {
		cluster, ok := names.ClusterOf(member.Namespace)
		if !ok || member.Name != mesh.Name || member.Status.Token == nil {
			continue
		}
		if picture.Tokens[cluster], err = i.token(ctx, member); err != nil {
			return nil, err
		}
	}
	return picture, nil
}

func (i *inputs) secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret, err := i.Secret(ctx, namespace, name)
	if err != nil {
		return nil, fmt.Errorf("reading secret %s/%s: %w", namespace, name, err)
	}
	return secret, nil
}

// token is the one that a MeshMember's status names.
func (i *inputs) token(ctx context.Context, member *meshv1alpha1.MeshMember) (plan.Token, error) {
	if token, again := i.tokens.get(member, i.Clock.Now()); token != nil {
		return plan.Token{Token: token, Again: again}, nil
	}
	name := meshv1alpha1.ReaderSecretName(member.Name)
	secret, err := i.Secret(ctx, member.Namespace, name)
	switch {
	case apierrors.IsForbidden(err) || secret == nil && err == nil:
		return plan.Token{Problem: fmt.Sprintf("its agent says that it has made one, but Secret %s/%s is not there", member.Namespace, name)}, nil
	case err != nil:
		return plan.Token{}, fmt.Errorf("reading secret %s/%s: %w", member.Namespace, name, err)
	}
	token, err := remotesecret.ParseToken(secret.Data)
	switch {
	case err != nil:
		return plan.Token{Problem: fmt.Sprintf("Secret %s/%s: %v", member.Namespace, name, err)}, nil
	case token.Hash() != member.Status.Token.Hash:
		return plan.Token{Problem: fmt.Sprintf("Secret %s/%s has another token than the one its agent has reported; it will report again", member.Namespace, name)}, nil
	}
	i.tokens.put(member, token, i.Clock.Now())
	return plan.Token{Token: token}, nil
}

// Forget drops what is known of a Mesh that is no more.
func (i *inputs) Forget(mesh string) {
	i.tokens.keep(mesh, nil)
	i.held.forget(mesh)
}

// placed sums up where workloads are, by namespace. Workloads are what has replicas,
// and kinds that run pods without being counted.
func placed(bindings []*workv1alpha2.ResourceBinding) []link.Placed {
	byNamespace := map[string]map[string]bool{}
	for _, b := range bindings {
		for _, cluster := range placedIn(b) {
			if byNamespace[b.Namespace] == nil {
				byNamespace[b.Namespace] = map[string]bool{}
			}
			byNamespace[b.Namespace][cluster] = true
		}
	}
	var all []link.Placed
	for namespace, clusters := range byNamespace {
		p := link.Placed{Namespace: namespace}
		for cluster := range clusters {
			p.Clusters = append(p.Clusters, cluster)
		}
		slices.Sort(p.Clusters)
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b link.Placed) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return all
}

// uncounted are kinds that run pods and have no replicas.
var uncounted = map[schema.GroupKind]bool{
	{Group: "apps", Kind: "DaemonSet"}: true,
	{Group: "batch", Kind: "CronJob"}:  true,
	{Group: "batch", Kind: "Job"}:      true,
	{Kind: "Pod"}:                      true,
}

// placedIn are the clusters in which something of a binding runs.
func placedIn(b *workv1alpha2.ResourceBinding) []string {
	var clusters []string
	whole := uncounted[schema.FromAPIVersionAndKind(b.Spec.Resource.APIVersion, b.Spec.Resource.Kind).GroupKind()]
	for _, target := range b.Spec.Clusters {
		if whole || target.Replicas > 0 {
			clusters = append(clusters, target.Name)
		}
	}
	return clusters
}
