package meshlab

import (
	"context"
	"errors"
	"slices"

	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/traffic"
)

// multiroot is what all istiods here have in common.
var multiroot = []string{"ISTIO_MULTIROOT_MESH=true"}

// StartMember gives a member of a playground what an installation of Istio has,
// starts its istiod in a directory, and its plane. Whatever is returned, Close has
// to be called if the Member is not nil. Planes that share addresses are of one
// world. The istiod gets further settings, as NAME=value.
func StartMember(ctx context.Context, name, kubeconfig, dir string, addresses *traffic.Addresses, env ...string) (*Member, error) {
	m, err := newMember(name, kubeconfig)
	if err != nil {
		return nil, err
	}
	if err := istiolab.Prepare(ctx, kubeconfig); err != nil {
		return m, err
	}
	m.Istiod, err = istiolab.Start(ctx, istiolab.Options{
		Cluster: name, Kubeconfig: kubeconfig, Dir: dir, Env: slices.Concat(multiroot, env),
	})
	if err != nil {
		return m, err
	}
	m.plane = newPlane(m, addresses)
	return m, nil
}

// Close ends the plane and istiod.
func (m *Member) Close() error {
	if m.plane != nil {
		m.plane.close()
	}
	var failed error
	for _, istiod := range m.Istiods() {
		failed = errors.Join(failed, istiod.Stop())
	}
	return failed
}

// Call calls hello once from the member.
func (m *Member) Call(ctx context.Context) (traffic.Answer, error) {
	caller, err := m.plane.workload(ctx)
	if err != nil {
		return traffic.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return caller.Call(ctx, HelloHost, HelloPort)
}
