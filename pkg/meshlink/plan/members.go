package plan

import (
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway"
)

// memberSpec is the spec of a cluster's MeshMember as it is to be.
func (r *round) memberSpec(c *cluster) meshv1alpha1.MeshMemberSpec {
	spec := meshv1alpha1.MeshMemberSpec{MeshID: r.mesh.Name, ClusterID: c.name, Network: r.network(c)}
	if c.phase == leaving {
		if c.member != nil {
			spec = *c.member.Spec.DeepCopy()
		}
		if c.clean {
			spec.Leaving, spec.Reader, spec.Gateway, spec.Peers, spec.Locality = true, nil, nil, nil, nil
			return spec
		}
		if spec.Reader != nil && c.token.renewAfter != nil {
			// It may come back with the token that it has.
			spec.Reader.RenewAfter = &metav1.Time{Time: *c.token.renewAfter}
		}
		spec.Peers = r.peers(c)
		spec.CA = r.memberCA(c)
		return spec
	}
	spec.CA = r.memberCA(c)
	if c.gateway {
		spec.Gateway = &meshv1alpha1.MemberGateway{ServiceName: gateway.ServiceName(&r.mesh.Spec.Gateway), Port: r.mesh.Spec.Gateway.Port}
	}
	spec.Reader = r.reader(c)
	spec.Locality = c.locality()
	spec.Peers = r.peers(c)
	return spec
}

// memberCA is what the cluster's istiod has to have in effect.
func (r *round) memberCA(c *cluster) meshv1alpha1.MemberCA {
	if r.store == nil || r.deleting() {
		if c.member == nil {
			return meshv1alpha1.MemberCA{}
		}
		return c.member.Spec.CA
	}
	want := r.store.State.Want()
	ca := meshv1alpha1.MemberCA{Roots: texts(want.Roots), Signer: string(want.Signer)}
	signer := c.ca.signer
	if signer == nil {
		signer = c.ca.issued
	}
	if signer != nil && signer.Root == want.Signer {
		ca.Intermediate = string(signer.Fingerprint())
	}
	return ca
}

// memberWrite is the write of a cluster's MeshMember, nil when it is as it should be.
func (r *round) memberWrite(c *cluster) *Write {
	if c.phase == claimed || c.phase == gone || c.phase == leaving && (c.member == nil || c.left) {
		return nil
	}
	spec := r.memberSpec(c)
	if c.member == nil {
		return &Write{Verb: Create, Object: &meshv1alpha1.MeshMember{ObjectMeta: metadata(r.mesh.Name, c.name, r.mesh.Name), Spec: spec}}
	}
	if apiequality.Semantic.DeepEqual(c.member.Spec, spec) {
		return nil
	}
	member := c.member.DeepCopy()
	member.Spec = spec
	return &Write{Verb: Update, Object: member, Was: c.member}
}
