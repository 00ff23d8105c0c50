package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/probe"
	"github.com/flotilla-io/flotilla/pkg/agent/mesh/proof"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

const (
	// tokenLife is how long our token for istiod is valid; one that is not accepted is
	// replaced once it is tokenAgain old.
	tokenLife  = time.Hour
	tokenAgain = time.Minute
	// settleLooks and settleTime are how long a changed remote secret has to be there
	// until what istiod says is taken to be about it.
	settleLooks, settleTime = 2, 2 * soon
)

// istiodSeen is what the istiods of the cluster say, the least of them.
type istiodSeen struct {
	generation int64
	istiod     *meshv1alpha1.MemberIstiod
	ca         *meshv1alpha1.MemberCAStatus
	// proofs by peer; of those that istiod was asked about.
	proofs map[string]peerProofs
	// answers, and signs, say what is wrong with istiod, and its CA.
	answers, signs trouble
}

// peerProofs are what istiod says about a peer, with the remote secret and the gateways
// that it was about.
type peerProofs struct {
	hash   string
	wanted []meshv1alpha1.GatewayAddress

	synced, gateways, endpoints *proof.Verdict
}

// istiodTask asks istiods.
type istiodTask struct {
	worker *worker

	request *istiod.Request
	// replicas by the address of their secure port.
	replicas map[string]*replica
	// told are the roots that a CA named last. A ConfigMap may be behind.
	told []byte
	// place has what was read of the member last.
	place *whereabouts

	// token is read by connections, too.
	token        atomic.Pointer[string]
	tokenAccount string
	tokenMade    time.Time

	settling map[string]*settling
	walk     walk

	mu    sync.Mutex
	who   *probe.Identity
	until time.Time
	known map[string][]string
}

// settling is a remote secret that has changed.
type settling struct {
	hash  string
	looks int
	since time.Time
}

func newIstiodTask(w *worker) *istiodTask {
	return &istiodTask{worker: w, replicas: map[string]*replica{}, settling: map[string]*settling{}, known: map[string][]string{}}
}

// identity is the certificate of the mesh; nil when there is none that is valid.
func (t *istiodTask) identity() *probe.Identity {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.who == nil || !t.worker.now().Before(t.until) {
		return nil
	}
	return t.who
}

// names are the server names of services with pods in a peer.
func (t *istiodTask) names(peer string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[peer]
}

// close ends all connections.
func (t *istiodTask) close() {
	for at, r := range t.replicas {
		r.close()
		delete(t.replicas, at)
	}
}

func (t *istiodTask) look(ctx context.Context, object *meshv1alpha1.MeshMember) outcome {
	next := &istiodSeen{generation: object.Generation}
	if object.Spec.Leaving {
		t.close()
		return outcome{news: t.worker.saw(func(s *seen) { s.istiod = next })}
	}
	if t.worker.view().cluster == nil {
		return outcome{missing: true} // which remote secrets there are is not known yet
	}
	missing := true
	if err := t.ask(ctx, object, next); err != nil {
		next.answers = t.wrong(err)
		t.silent(object, next)
	} else {
		missing = !wellDone(object, next)
	}
	if ctx.Err() != nil {
		return outcome{}
	}
	return outcome{missing: missing, news: t.worker.saw(func(s *seen) { s.istiod = next })}
}

// silent says of all that istiod would have to say that it does not.
func (t *istiodTask) silent(object *meshv1alpha1.MeshMember, next *istiodSeen) {
	next.istiod, next.ca, next.signs = nil, nil, trouble{}
	next.proofs = map[string]peerProofs{}
	verdict := &proof.Verdict{Reason: "IstiodSilent", Message: next.answers.message}
	for i := range object.Spec.Peers {
		peer := &object.Spec.Peers[i]
		if next.answers.reason == noIstiod && peer.SecretHash == "" && t.worker.remote(peer.Name) == "" {
			continue // there is nobody who could read it
		}
		next.proofs[peer.Name] = peerProofs{hash: t.worker.remote(peer.Name), wanted: peer.Gateways, synced: verdict, gateways: verdict, endpoints: verdict}
	}
}

// noIstiod is the reason when no Istio is installed.
const noIstiod = "NoIstiod"

// wrong says what an error of a look means.
func (t *istiodTask) wrong(err error) trouble {
	cluster := t.worker.agent.Cluster
	switch {
	case errors.Is(err, istiod.ErrNotInstalled):
		return troubled(noIstiod, "cluster %s: %v; install Istio there", cluster, err)
	case errors.Is(err, istiod.ErrNoAddress):
		return troubled("NoAddress", "cluster %s: %v", cluster, err)
	case errors.Is(err, errNoRoot):
		return troubled("NoRoot", "cluster %s: %v; istiod writes it when it has started", cluster, err)
	case errors.Is(err, errNoAccount):
		return troubled("NoServiceAccount", "cluster %s: %v", cluster, err)
	case errors.Is(err, errMember):
		return troubled("ClusterNotReadable", "cluster %s: %v", cluster, err)
	case istiod.Unauthenticated(err):
		if t.worker.now().Sub(t.tokenMade) >= tokenAgain {
			t.tokenAccount = "" // perhaps with another one
		}
		return troubled("NotAccepted", "istiod of cluster %s does not accept the token of ServiceAccount %s/%s: %v", cluster, meshv1alpha1.IstioNamespace, remotesecret.ReaderName, err)
	case errors.Is(err, istiod.ErrPage):
		return troubled("NotReadable", "istiod of cluster %s: %v", cluster, err)
	default:
		return troubled("NoAnswer", "istiod of cluster %s does not answer: %v; look whether it runs", cluster, err)
	}
}

// settled counts how long a remote secret is as it is, by looks that istiod has answered,
// and says whether it is long enough.
func (t *istiodTask) settled(object *meshv1alpha1.MeshMember, peer, hash string, began time.Time) bool {
	s := t.settling[peer]
	switch {
	case s == nil && syncedBefore(object, peer, hash):
		s = &settling{hash: hash, looks: settleLooks, since: began.Add(-settleTime)}
	case s == nil || s.hash != hash:
		s = &settling{hash: hash, since: began}
	default:
		s.looks++
	}
	t.settling[peer] = s
	return s.looks >= settleLooks && began.Sub(s.since) >= settleTime
}

// syncedBefore tells whether istiod was seen synced with this remote secret before this
// agent was started.
func syncedBefore(object *meshv1alpha1.MeshMember, peer, hash string) bool {
	was := find(object.Status.Peers, peer)
	p := proofOf(was.Proofs, meshv1alpha1.StepSynced)
	return hash != "" && was.SecretHash == hash && p != nil && p.Passed
}

// wellDone tells whether all is as it is to be.
func wellDone(object *meshv1alpha1.MeshMember, next *istiodSeen) bool {
	if next.istiod.ClusterID != object.Spec.ClusterID || next.signs != (trouble{}) || next.answers != (trouble{}) ||
		len(object.Spec.CA.Roots) > 0 && !wantedCA(&object.Spec.CA, next.ca) {
		return false
	}
	for i := range object.Spec.Peers {
		peer := &object.Spec.Peers[i]
		p := next.proofs[peer.Name]
		if peer.SecretHash == "" {
			if p.synced != nil {
				return false // it has yet to let go of it
			}
			continue
		}
		if p.hash != peer.SecretHash {
			return false // it has yet to be there
		}
		for _, verdict := range []*proof.Verdict{p.synced, p.gateways, p.endpoints} {
			if verdict == nil || !verdict.Passed {
				return false
			}
		}
	}
	return true
}

// ask asks all istiods, beside each other.
func (t *istiodTask) ask(ctx context.Context, object *meshv1alpha1.MeshMember, next *istiodSeen) error {
	began := t.worker.now()
	hashes := map[string]string{} // as they are when the look begins
	for i := range object.Spec.Peers {
		hashes[object.Spec.Peers[i].Name] = t.worker.remote(object.Spec.Peers[i].Name)
	}
	q, err := t.prepare(ctx, object)
	if err != nil {
		return err
	}
	q.clusters = t.walk.ask(ctx, t.worker, len(hashes) > 0)
	all := make([]heard, 0, len(t.replicas))
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, r := range t.replicas {
		group.Go(func() {
			h := r.ask(ctx, q)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, h)
		})
	}
	group.Wait()
	t.identify()
	return t.fold(object, hashes, began, all, next)
}

// identify keeps the newest certificate.
func (t *istiodTask) identify() {
	var newest *replica
	for _, r := range t.replicas {
		if r.signed != nil && !r.signedAt.IsZero() && (newest == nil || r.signedAt.After(newest.signedAt)) {
			newest = r
		}
	}
	if newest == nil {
		return
	}
	t.told = newest.signed.RootsPEM
	t.mu.Lock()
	defer t.mu.Unlock()
	t.who = &probe.Identity{Certificate: newest.signed.Certificate, Roots: newest.signed.Pool()}
	t.until = newest.signedAt.Add(newest.signed.Life() * 9 / 10)
}

// Errors of prepare.
var (
	errNoRoot    = errors.New("istiod has not told its root")
	errNoAccount = errors.New("the account for asking istiod is not there")
	errMember    = errors.New("the API server of the cluster does not tell where istiod is")
)

// whereabouts is where istiods are, and the roots to know them by.
type whereabouts struct {
	at    []istiod.Location
	roots []byte
}

// prepare finds the istiods, and makes what is needed to ask them.
func (t *istiodTask) prepare(ctx context.Context, object *meshv1alpha1.MeshMember) (*question, error) {
	found, err := t.find(ctx)
	if errors.Is(err, errMember) && t.place != nil && !apierrors.IsForbidden(err) {
		found, err = t.place, nil // it is the API server that does not answer, not istiod
	}
	if err != nil {
		t.close()
		return nil, err
	}
	t.place = found
	q := &question{node: istiod.Node{ClusterID: object.Spec.ClusterID, Network: object.Spec.Network, ServiceAccount: remotesecret.ReaderName}, roots: found.roots, ca: object.Spec.CA}
	if object.Spec.Reader != nil {
		q.node.ServiceAccount = object.Spec.Reader.ServiceAccount
	}
	if len(t.told) > 0 && !bytes.Equal(t.told, q.roots) {
		q.roots = slices.Concat(q.roots, []byte("\n"), t.told)
	}
	if t.request == nil {
		if t.request, err = istiod.NewRequest(); err != nil {
			return nil, err
		}
	}
	if err := t.readToken(ctx, q.node.ServiceAccount); err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, at := range found.at {
		there[at.Secure] = true
		if t.replicas[at.Secure] == nil {
			t.replicas[at.Secure] = &replica{task: t, at: at}
		}
	}
	for at, r := range t.replicas {
		if !there[at] {
			r.close()
			delete(t.replicas, at)
		}
	}
	return q, nil
}

// find asks the member where istiods are.
func (t *istiodTask) find(ctx context.Context) (*whereabouts, error) {
	a := t.worker.agent
	services, err := a.member.services(ctx, meshv1alpha1.IstioNamespace, istiod.Selector, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: list services in %s: %w", errMember, meshv1alpha1.IstioNamespace, err)
	}
	at, err := istiod.Locate(services, !a.InCluster)
	if err != nil {
		return nil, err
	}
	found := &whereabouts{at: []istiod.Location{at}}
	if a.InCluster {
		all, err := t.each(ctx)
		if err != nil {
			return nil, err // one that is asked alone would speak for all
		}
		if len(all) > 0 {
			found.at = all
		}
	}
	found.roots, err = a.member.roots(ctx)
	switch {
	case apierrors.IsNotFound(err) || err == nil && len(found.roots) == 0:
		return nil, fmt.Errorf("%w: there is no ConfigMap %s/%s", errNoRoot, meshv1alpha1.IstioNamespace, rootConfigMap)
	case err != nil:
		return nil, fmt.Errorf("%w: ConfigMap %s/%s: %w", errMember, meshv1alpha1.IstioNamespace, rootConfigMap, err)
	}
	return found, nil
}

// each finds every istiod that is ready. Without the right to look, or without any, the
// Service leads to one.
func (t *istiodTask) each(ctx context.Context) ([]istiod.Location, error) {
	slices, err := t.worker.agent.member.endpointSlices(ctx, istiod.Selector)
	switch {
	case apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: list endpointslices in %s: %w", errMember, meshv1alpha1.IstioNamespace, err)
	}
	return istiod.Ready(slices), nil
}

// readToken makes sure that there is a token.
func (t *istiodTask) readToken(ctx context.Context, account string) error {
	now := t.worker.now()
	if t.tokenAccount == account && now.Sub(t.tokenMade) < tokenLife*3/4 {
		return nil
	}
	token, _, err := t.worker.agent.member.istiodToken(ctx, account, tokenLife)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: ServiceAccount %s/%s comes with the Work of the reader; look at the Works of this cluster", errNoAccount, meshv1alpha1.IstioNamespace, account)
	case err != nil && t.tokenAccount == account && now.Sub(t.tokenMade) < tokenLife:
		return nil // the one there is still good
	case err != nil:
		return fmt.Errorf("%w: make a token for it; the agent needs to create serviceaccounts/token of %s/%s: %w", errMember, meshv1alpha1.IstioNamespace, account, err)
	}
	t.token.Store(&token)
	t.tokenAccount, t.tokenMade = account, now
	return nil
}
