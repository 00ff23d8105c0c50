package plan

import (
	"slices"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// gateways says which clusters need one, and where peers connect.
func (r *round) gateways(wanted []link.Ordered) {
	callers := map[string][]string{}
	for _, pair := range wanted {
		if r.byName[pair.From].phase == active {
			callers[pair.To] = append(callers[pair.To], pair.From)
		}
	}
	for _, c := range r.clusters {
		c.read = len(callers[c.name]) > 0
		c.gateway = gateway.Needed(&r.mesh.Spec, c.name, callers[c.name])
		status := c.status()
		if !c.gateway || status == nil || status.Gateway == nil {
			continue
		}
		c.addresses = slices.Clone(status.Gateway.Addresses)
		for _, address := range gateway.Static(&r.mesh.Spec.Gateway, c.name) {
			if !slices.Contains(c.addresses, address) {
				c.addresses = append(c.addresses, address)
			}
		}
	}
}

// gatewayWork is the Work with the gateway, nil when there is to be none. It comes
// after the CA, so that it has its certificate from the mesh. One that is not needed any
// more goes when nobody uses it: a peer that knows no gateway would call pods.
func (r *round) gatewayWork(c *cluster) (*workv1alpha1.Work, error) {
	there := c.works[PartGateway]
	switch {
	case !c.gateway && there == nil:
		return nil, nil
	case !c.gateway && r.unused(c):
		return nil, nil
	case !c.gateway:
		return there, nil
	case there == nil && (c.ca.state != link.CAInEffect && c.ca.state != link.CAChanging || !c.ca.verdict.Join):
		return nil, nil
	}
	objects := gateway.Objects(&r.mesh.Spec.Gateway, gateway.Cluster{Mesh: r.mesh.Name, Name: c.name, Network: r.network(c)})
	work, err := newWork(r.mesh.Name, c.name, PartGateway, objects...)
	if err != nil {
		return nil, r.fail(c, "gateway", err)
	}
	return work, nil
}

// unused says whether nobody in another network reads a cluster, as far as is heard,
// and all are in the networks that they are to be in.
func (r *round) unused(c *cluster) bool {
	own := r.mesh.Spec.Network(c.name)
	for _, peer := range r.stillReading(c) {
		if r.mesh.Spec.Network(peer.Cluster) != own {
			return false
		}
	}
	return !slices.ContainsFunc(r.clusters, func(c *cluster) bool {
		status := c.status()
		return c.phase == active && c.lost == nil && status != nil && status.Network != r.mesh.Spec.Network(c.name)
	})
}

// network is the network that a cluster is to be labelled with now. A changed one waits
// until nobody reads the cluster: its label, its gateway and what peers know of it do
// not change at once, and in between they would call pods that they do not reach.
func (r *round) network(c *cluster) string {
	want := r.mesh.Spec.Network(c.name)
	if c.member == nil || c.member.Spec.Network == want || len(r.stillReading(c)) == 0 {
		return want
	}
	return c.member.Spec.Network
}

// readerWork is the Work with the account that peers read a cluster as. The agent
// uses it, too, to ask istiod who it is and what CA is in effect, so it is there from
// the start.
func (r *round) readerWork(c *cluster) (*workv1alpha1.Work, error) {
	// Nobody is to read Secrets of a cluster that is not to be joined.
	secrets := meshv1alpha1.SecretsNone
	if c.ca.verdict.Join || c.member != nil && c.member.Spec.Reader != nil {
		secrets = r.mesh.Spec.RemoteAccess.Secrets
	}
	if r.accounts == nil {
		r.accounts = map[meshv1alpha1.MeshSecretAccess][]workv1alpha1.Manifest{}
	}
	if r.accounts[secrets] == nil { // they are the same everywhere
		objects := remotesecret.Reader(r.mesh.Name, r.mesh.Spec.Gateway.Revision, secrets)
		work, err := newWork(r.mesh.Name, c.name, PartReader, objects...)
		if err != nil {
			return nil, r.fail(c, "reader", err)
		}
		r.accounts[secrets] = work.Spec.Workload.Manifests
	}
	work := &workv1alpha1.Work{ObjectMeta: metadata(r.mesh.Name, c.name, WorkName(r.mesh.Name, PartReader))}
	work.Spec.Workload.Manifests = r.accounts[secrets]
	return work, nil
}

// locality is where nodes of a cluster are that do not say so themselves.
func (c *cluster) locality() *meshv1alpha1.MemberLocality {
	spec := &c.object.Spec
	if spec.Region == "" {
		return nil // Istio looks at no zone without its region
	}
	zones := spec.Zones
	if len(zones) == 0 && spec.Zone != "" {
		zones = []string{spec.Zone}
	}
	locality := &meshv1alpha1.MemberLocality{Region: spec.Region}
	if len(zones) == 1 {
		locality.Zone = zones[0]
	}
	return locality
}
