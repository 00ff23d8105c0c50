package mesh

import (
	"context"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway/address"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// manager is the field manager of what is written into objects of the member: labels that
// are taken back when the cluster leaves.
const manager = "flotilla-mesh"

// clusterSeen is what there is in istio-system.
type clusterSeen struct {
	generation int64
	// network is the label on it.
	network string
	cacerts *meshv1alpha1.MemberCACerts
	gateway *meshv1alpha1.MemberGatewayStatus
	// remotes are remote secrets by the cluster that they are for.
	remotes map[string]remote
	// left is true when nothing of what this task has written is there any more; brought
	// are Works that have brought what is still there, held says that it waits for a person.
	left    bool
	brought []string
	held    bool
	// labelled, and read, say what is wrong with the label, and with looking.
	labelled, read trouble
	// looked, and listed, are true once the namespace, and remote secrets, could be read
	// since this agent was started.
	looked, listed bool
}

// reportedBefore is what the agent before this one has reported.
func reportedBefore(object *meshv1alpha1.MeshMember) *clusterSeen {
	status := &object.Status
	seen := &clusterSeen{network: status.Network, cacerts: status.CACerts, remotes: map[string]remote{}}
	if object.Spec.Gateway != nil {
		seen.gateway = status.Gateway
	}
	for i := range status.Peers {
		if peer := &status.Peers[i]; peer.SecretHash != "" {
			seen.remotes[peer.Name] = remote{hash: peer.SecretHash}
		}
	}
	return seen
}

// remote is the remote secret for a cluster.
type remote struct {
	// hash of its kubeconfig; empty when there is none of the name that it has to have.
	hash string
	// foreign says, if not empty, which other Secret is for that cluster.
	foreign string
}

// clusterTask looks at istio-system, and labels it.
type clusterTask struct {
	worker *worker

	gatewayNodes gatewayNodes
}

func (t *clusterTask) look(ctx context.Context, object *meshv1alpha1.MeshMember) outcome {
	next := reportedBefore(object)
	if before := t.worker.view().cluster; before != nil {
		*next = *before // what cannot be read now is as it was
	}
	next.generation, next.read, next.left = object.Generation, trouble{}, false
	next.brought, next.held = t.worker.brought(object)
	missing := t.fill(ctx, object, next)
	if ctx.Err() != nil {
		return outcome{}
	}
	news := t.worker.saw(func(s *seen) { s.cluster = next })
	return outcome{missing: missing || next.read != trouble{}, news: news}
}

// brought are the Works of a mesh that the cluster leaves of which something is still there,
// but for the CA, which stays.
func (w *worker) brought(object *meshv1alpha1.MeshMember) (works []string, held bool) {
	if !object.Spec.Leaving || w.agent.Brought == nil {
		return nil, false
	}
	prefix := meshv1alpha1.WorkPrefix(object.Name)
	works, held = w.agent.Brought(prefix)
	works = slices.DeleteFunc(works, func(name string) bool { return name == prefix+meshv1alpha1.WorkCA })
	return works, held && len(works) > 0
}

func (t *clusterTask) fill(ctx context.Context, object *meshv1alpha1.MeshMember, next *clusterSeen) (missing bool) {
	namespace, err := t.worker.agent.member.namespace(ctx)
	switch {
	case apierrors.IsNotFound(err):
		*next = clusterSeen{
			generation: next.generation, cacerts: &meshv1alpha1.MemberCACerts{},
			left: object.Spec.Leaving, brought: next.brought, held: next.held, looked: true, listed: true,
		}
		return !object.Spec.Leaving || len(next.brought) > 0
	case err != nil:
		next.read = troubled("NotReadable", "namespace %s: %v", meshv1alpha1.IstioNamespace, err)
		return true
	}
	next.looked, next.labelled = true, trouble{}
	t.label(ctx, namespace, object, next)
	if object.Spec.Leaving {
		t.gatewayNodes.close()
		return !next.left || len(next.brought) > 0
	}
	for _, part := range []struct {
		what string
		read func(context.Context, *meshv1alpha1.MeshMember, *clusterSeen) error
	}{{"Secret " + trust.CACertsSecret, t.readCA}, {"remote secrets", t.readRemotes}, {"gateway", t.readGateway}} {
		if err := part.read(ctx, object, next); err != nil && next.read == (trouble{}) {
			next.read = troubled("NotReadable", "%s: %v; the agent needs to get and list secrets, services and nodes in cluster %s", part.what, err, t.worker.agent.Cluster)
		}
	}
	return incomplete(&object.Spec, next)
}

// incomplete says whether something is missing that is wanted.
func incomplete(spec *meshv1alpha1.MeshMemberSpec, c *clusterSeen) bool {
	if c.network != spec.Network || c.cacerts == nil || !c.cacerts.Exists {
		return true
	}
	if spec.Gateway != nil && (c.gateway == nil || len(c.gateway.Addresses) == 0) {
		return true
	}
	return slices.ContainsFunc(spec.Peers, func(p meshv1alpha1.MemberPeer) bool { return c.remotes[p.Name].hash != p.SecretHash })
}

// label makes the label of the network what it is to be. A label that somebody else has
// set is not changed.
func (t *clusterTask) label(ctx context.Context, namespace *corev1.Namespace, object *meshv1alpha1.MeshMember, next *clusterSeen) {
	a := t.worker.agent
	a.labelling.Lock()
	defer a.labelling.Unlock()
	holder := a.holder()
	next.network = namespace.Labels[address.Network]
	want, ours := "", slices.ContainsFunc(namespace.ManagedFields, managed)
	if holder != nil {
		want = holder.Spec.Network
	}
	switch {
	case namespace.DeletionTimestamp != nil:
		next.labelled = troubled("NamespaceGoes", "namespace %s is being deleted", namespace.Name)
		next.left = true
		return
	case holder != nil && holder.Name != object.Name:
		// It is for the other mesh now, which sees to it.
		if next.left = object.Spec.Leaving; !next.left {
			next.labelled = troubled("OtherMesh", "the label %s of namespace %s is that of Mesh %s; take the cluster out of one of the two", address.Network, namespace.Name, holder.Name)
		}
		return
	case want == "" && !ours, want != "" && next.network == want:
		next.left = want == ""
		return
	}
	wanted := map[string]string{}
	if want != "" {
		wanted[address.Network] = want
	}
	switch err := a.member.apply(ctx, "namespaces", "Namespace", namespace.Name, namespace.UID, wanted); {
	case err == nil && want == "":
		next.left = true
		if next.network != "" {
			next.network = "" // a label of somebody else is seen at the next look
		}
	case err == nil:
		next.network = want
	case heldByOthers(err):
		next.labelled = troubled("SetByOthers", "namespace %s has the label %s=%s, which somebody else has set (%v); remove it there, or call the network so in spec.networks of Mesh %s", namespace.Name, address.Network, next.network, err, object.Name)
	default:
		next.labelled = troubled("NotWritten", "cannot set the label %s of namespace %s; the agent needs to patch it: %v", address.Network, namespace.Name, err)
	}
}

func (t *clusterTask) readCA(ctx context.Context, _ *meshv1alpha1.MeshMember, next *clusterSeen) error {
	secret, err := t.worker.agent.member.secret(ctx, trust.CACertsSecret)
	if apierrors.IsNotFound(err) {
		next.cacerts = &meshv1alpha1.MemberCACerts{}
		return nil
	}
	if err != nil {
		return err
	}
	found := &meshv1alpha1.MemberCACerts{Exists: true, Mesh: secret.Labels[meshv1alpha1.MeshLabel]}
	// Roots that cannot be read are none: whoever judges sees whose the Secret is.
	if roots, err := trust.FingerprintsOf(secret.Data[trust.RootCertKey]); err == nil {
		for _, root := range roots {
			found.Roots = append(found.Roots, string(root))
		}
	}
	next.cacerts = found
	return nil
}

func (t *clusterTask) readRemotes(ctx context.Context, object *meshv1alpha1.MeshMember, next *clusterSeen) error {
	secrets, err := t.worker.agent.member.secrets(ctx, remotesecret.MultiClusterLabel+"=true")
	if err != nil {
		return err
	}
	next.remotes, next.listed = remotes(object, secrets), true
	return nil
}

// remotes are the remote secrets that there are for peers, and those of this mesh for
// anybody else.
func remotes(object *meshv1alpha1.MeshMember, secrets []corev1.Secret) map[string]remote {
	wanted := map[string]bool{}
	for i := range object.Spec.Peers {
		wanted[object.Spec.Peers[i].Name] = true
	}
	found := map[string]remote{}
	slices.SortFunc(secrets, func(a, b corev1.Secret) int { return strings.Compare(a.Name, b.Name) })
	for i := range secrets {
		secret := &secrets[i]
		ours := secret.Labels[meshv1alpha1.MeshLabel] == object.Name
		for _, cluster := range slices.Sorted(maps.Keys(secret.Data)) {
			if !wanted[cluster] && !ours {
				continue
			}
			r := found[cluster]
			named := secret.Name == remotesecret.Name(cluster)
			if named {
				r.hash = remotesecret.SecretHash(cluster, secret.Data)
			}
			if (!named || !ours) && r.foreign == "" {
				r.foreign = secret.Name
			}
			found[cluster] = r
		}
	}
	return found
}

func (t *clusterTask) readGateway(ctx context.Context, object *meshv1alpha1.MeshMember, next *clusterSeen) error {
	want := object.Spec.Gateway
	if want == nil {
		t.gatewayNodes.close()
		next.gateway = nil
		return nil
	}
	service, err := t.worker.agent.member.service(ctx, meshv1alpha1.IstioNamespace, want.ServiceName)
	if apierrors.IsNotFound(err) {
		t.gatewayNodes.close()
		next.gateway = nil
		return nil
	}
	if err != nil {
		return err
	}
	nodes, err := t.gatewayNodes.read(ctx, t.worker, service)
	if err != nil {
		return err
	}
	status := &meshv1alpha1.MemberGatewayStatus{}
	status.Addresses, status.Message = address.Of(service, nodes, want.Port)
	next.gateway = status
	return nil
}
