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
	// certificateLife is how long our certificate is valid.
	certificateLife = time.Hour
	// tokenLife is how long our token for istiod is valid.
	tokenLife = time.Hour
	// settleLooks and settleTime are how long a changed remote secret has to be there
	// until what istiod says is taken to be about it.
	settleLooks, settleTime = 2, 2 * soon
	// perMiB is how long the page of all endpoints is not asked for again, for each MiB.
	perMiB = 5 * time.Second
)

// istiodSeen is what istiod says.
type istiodSeen struct {
	generation int64
	istiod     *meshv1alpha1.MemberIstiod
	ca         *meshv1alpha1.MemberCAStatus
	// proofs by peer; of those that istiod was asked about.
	proofs map[string]peerProofs
	// answers, and signs, say what is wrong with istiod, and its CA.
	answers, signs trouble
}

// peerProofs are what istiod says about a peer.
type peerProofs struct {
	synced, gateways, endpoints *proof.Verdict
}

// istiodTask asks istiod.
type istiodTask struct {
	worker *worker

	request *istiod.Request
	client  *istiod.Client
	session *istiod.Session
	// at and roots are what client was made with; version is what was read there.
	at      istiod.Location
	roots   []byte
	node    istiod.Node
	version string
	// told are the roots that istiod's CA named last. A ConfigMap may be behind.
	told []byte

	// token is read by the connection, too.
	token        atomic.Pointer[string]
	tokenAccount string
	tokenUntil   time.Time

	settling map[string]*settling
	services serviceCache
	// notBefore is when the page of all endpoints is asked for again, and judged is what
	// came out of it last, by peer.
	notBefore time.Time
	judged    map[string]*proof.Verdict

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
	return &istiodTask{worker: w, settling: map[string]*settling{}, known: map[string][]string{}}
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

// close ends the connection.
func (t *istiodTask) close() {
	if t.session != nil {
		t.session.Close()
		t.session = nil
	}
	if t.client != nil {
		t.client.Close()
		t.client = nil
	}
}

func (t *istiodTask) look(ctx context.Context, object *meshv1alpha1.MeshMember) outcome {
	next := &istiodSeen{generation: object.Generation}
	if object.Spec.Leaving {
		t.close()
		return outcome{news: t.worker.saw(func(s *seen) { s.istiod = next })}
	}
	settled, all := t.settle(object)
	missing := true
	if err := t.ask(ctx, object, settled, next); err != nil {
		t.close() // whatever was wrong with it, the next look begins anew
		next.answers = t.wrong(err)
		next.istiod, next.ca = nil, nil
		silent(object, next)
	} else {
		missing = !all || !wellDone(object, next)
	}
	if ctx.Err() != nil {
		return outcome{}
	}
	return outcome{missing: missing, news: t.worker.saw(func(s *seen) { s.istiod = next })}
}

// silent says of all that istiod would have to say that it does not.
func silent(object *meshv1alpha1.MeshMember, next *istiodSeen) {
	next.proofs = map[string]peerProofs{}
	for i := range object.Spec.Peers {
		verdict := &proof.Verdict{Reason: "IstiodSilent", Message: next.answers.message}
		next.proofs[object.Spec.Peers[i].Name] = peerProofs{synced: verdict, gateways: verdict, endpoints: verdict}
	}
}

// wrong says what an error of a look means.
func (t *istiodTask) wrong(err error) trouble {
	cluster := t.worker.agent.Cluster
	switch {
	case errors.Is(err, istiod.ErrNotInstalled):
		return troubled("NoIstiod", "cluster %s: %v; install Istio there", cluster, err)
	case errors.Is(err, istiod.ErrNoAddress):
		return troubled("NoAddress", "cluster %s: %v", cluster, err)
	case errors.Is(err, errNoRoot):
		return troubled("NoRoot", "cluster %s: %v; istiod writes it when it has started", cluster, err)
	case errors.Is(err, errNoAccount):
		return troubled("NoServiceAccount", "cluster %s: %v", cluster, err)
	case istiod.Unauthenticated(err):
		t.tokenUntil = time.Time{}
		return troubled("NotAccepted", "istiod of cluster %s does not accept the token of ServiceAccount %s/%s: %v", cluster, meshv1alpha1.IstioNamespace, t.tokenAccount, err)
	case errors.Is(err, istiod.ErrPage):
		return troubled("NotReadable", "istiod of cluster %s: %v", cluster, err)
	default:
		return troubled("NoAnswer", "istiod of cluster %s does not answer: %v; look whether it runs", cluster, err)
	}
}

// settle counts how long remote secrets are as they are. All is false while one may still
// mean what was there before.
func (t *istiodTask) settle(object *meshv1alpha1.MeshMember) (settled map[string]bool, all bool) {
	settled, all = map[string]bool{}, true
	cluster := t.worker.view().cluster
	if cluster == nil {
		return settled, false
	}
	now := t.worker.now()
	for i := range object.Spec.Peers {
		peer := object.Spec.Peers[i].Name
		hash := cluster.remotes[peer].hash
		s := t.settling[peer]
		switch {
		case s == nil && syncedBefore(object, peer, hash):
			s = &settling{hash: hash, looks: settleLooks, since: now.Add(-settleTime)}
		case s == nil || s.hash != hash:
			s = &settling{hash: hash, since: now}
		default:
			s.looks++
		}
		t.settling[peer] = s
		settled[peer] = s.looks >= settleLooks && now.Sub(s.since) >= settleTime
		all = all && settled[peer]
	}
	return settled, all
}

// syncedBefore tells whether istiod was seen synced with this remote secret before this
// agent was started.
func syncedBefore(object *meshv1alpha1.MeshMember, peer, hash string) bool {
	for i := range object.Status.Peers {
		if p := &object.Status.Peers[i]; p.Name == peer && p.SecretHash == hash {
			return slices.ContainsFunc(p.Proofs, func(p meshv1alpha1.Proof) bool { return p.Step == meshv1alpha1.StepSynced && p.Passed })
		}
	}
	return false
}

// wellDone tells whether all is as it is to be.
func wellDone(object *meshv1alpha1.MeshMember, next *istiodSeen) bool {
	want := &object.Spec.CA
	switch {
	case next.istiod.ClusterID != object.Spec.ClusterID, next.ca == nil, next.signs != trouble{}:
		return false
	case len(want.Roots) > 0 && !slices.Equal(want.Roots, next.ca.Roots),
		want.Signer != "" && want.Signer != next.ca.Signer,
		want.Intermediate != "" && want.Intermediate != next.ca.Intermediate:
		return false
	}
	for i := range object.Spec.Peers {
		peer := &object.Spec.Peers[i]
		p := next.proofs[peer.Name]
		for _, verdict := range []*proof.Verdict{p.synced, p.gateways, p.endpoints} {
			if peer.SecretHash != "" && (verdict == nil || !verdict.Passed) {
				return false
			}
		}
	}
	return true
}

// ask looks at everything, in a new connection if the one that was there has ended: istiod
// ends them now and then.
func (t *istiodTask) ask(ctx context.Context, object *meshv1alpha1.MeshMember, settled map[string]bool, next *istiodSeen) error {
	old := t.session != nil
	err := t.askOnce(ctx, object, settled, next)
	if err != nil && old && ctx.Err() == nil {
		t.close()
		err = t.askOnce(ctx, object, settled, next)
	}
	return err
}

func (t *istiodTask) askOnce(ctx context.Context, object *meshv1alpha1.MeshMember, settled map[string]bool, next *istiodSeen) error {
	if err := t.connect(ctx, object); err != nil {
		return err
	}
	if err := t.askCA(ctx, next); err != nil {
		return err
	}
	clusters, err := bounded(ctx, t.session.Clusters)
	if err != nil {
		return err
	}
	gateways, err := bounded(ctx, t.session.Gateways)
	if err != nil {
		return err
	}
	next.istiod = &meshv1alpha1.MemberIstiod{Version: t.version, ClusterID: proof.OwnCluster(clusters)}
	next.proofs = map[string]peerProofs{}
	var linked []*meshv1alpha1.MemberPeer
	remotes := t.worker.view().cluster
	for i := range object.Spec.Peers {
		peer := &object.Spec.Peers[i]
		shown := slices.ContainsFunc(clusters, func(c istiod.Cluster) bool { return c.ID == peer.Name && c.SecretName != "" })
		if !shown && (remotes == nil || remotes.remotes[peer.Name].hash == "") {
			continue // it is not to be known yet
		}
		linked = append(linked, peer)
		synced := proof.Synced(clusters, peer.Name, remotesecret.Name(peer.Name), settled[peer.Name])
		known := proof.Gateways(gateways, peer.Name, peer.Network, peer.Gateways)
		next.proofs[peer.Name] = peerProofs{synced: &synced, gateways: &known}
	}
	return t.askEndpoints(ctx, object, linked, gateways, next)
}

// bounded asks with a limit on the time.
func bounded[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, fmt.Errorf("not within %s", requestTimeout))
	defer cancel()
	return ask(ctx)
}

// askCA gets a certificate, which shows the CA in effect.
func (t *istiodTask) askCA(ctx context.Context, next *istiodSeen) error {
	signed, err := bounded(ctx, func(ctx context.Context) (*istiod.Signed, error) {
		return t.client.Sign(ctx, t.request, certificateLife)
	})
	if errors.Is(err, istiod.ErrCA) {
		next.signs = troubled("NotReadable", "cluster %s: %v", t.worker.agent.Cluster, err)
		return nil
	}
	if err != nil {
		return err
	}
	effect, broken := signed.Effect()
	if next.ca = effect; broken != "" {
		next.signs = troubled("Broken", "cluster %s: %s", t.worker.agent.Cluster, broken)
		return nil
	}
	t.told = signed.RootsPEM
	t.mu.Lock()
	defer t.mu.Unlock()
	t.who, t.until = &probe.Identity{Certificate: signed.Certificate, Roots: signed.Pool()}, t.worker.now().Add(certificateLife)
	return nil
}

// Errors of connect.
var (
	errNoRoot    = errors.New("istiod has not told its root")
	errNoAccount = errors.New("the account for asking istiod is not there")
)

// connect makes the connection again if it is to lead elsewhere.
func (t *istiodTask) connect(ctx context.Context, object *meshv1alpha1.MeshMember) error {
	a := t.worker.agent
	services, err := a.member.services(ctx, meshv1alpha1.IstioNamespace, istiod.Selector, 0)
	if err != nil {
		return err
	}
	at, err := istiod.Locate(services, !a.InCluster)
	if err != nil {
		return err
	}
	roots, err := a.member.roots(ctx)
	if apierrors.IsNotFound(err) || err == nil && len(roots) == 0 {
		return fmt.Errorf("%w: there is no ConfigMap %s/%s", errNoRoot, meshv1alpha1.IstioNamespace, rootConfigMap)
	}
	if err != nil {
		return fmt.Errorf("ConfigMap %s/%s: %w", meshv1alpha1.IstioNamespace, rootConfigMap, err)
	}
	if len(t.told) > 0 && !bytes.Equal(t.told, roots) {
		roots = slices.Concat(roots, []byte("\n"), t.told)
	}
	node := istiod.Node{ClusterID: object.Spec.ClusterID, Network: object.Spec.Network, ServiceAccount: remotesecret.ReaderName}
	if object.Spec.Reader != nil {
		node.ServiceAccount = object.Spec.Reader.ServiceAccount
	}
	if err := t.readToken(ctx, node.ServiceAccount); err != nil {
		return err
	}
	if t.session != nil && at == t.at && bytes.Equal(roots, t.roots) && node == t.node {
		return nil
	}
	t.close()
	if t.request == nil {
		if t.request, err = istiod.NewRequest(); err != nil {
			return err
		}
	}
	if t.client, err = istiod.Connect(at.Secure, roots, func(context.Context) (string, error) { return *t.token.Load(), nil }); err != nil {
		return err
	}
	t.version = ""
	if at.Monitoring != "" {
		// A version that is not known is as good as any; what does not answer is seen next.
		t.version, _ = bounded(ctx, func(ctx context.Context) (string, error) { return istiod.Version(ctx, a.plain, at.Monitoring) })
	}
	t.session, err = bounded(ctx, func(within context.Context) (*istiod.Session, error) { return t.client.Open(within, ctx, node) })
	if err != nil {
		return err
	}
	t.at, t.roots, t.node = at, roots, node
	return nil
}

// readToken makes sure that there is a token.
func (t *istiodTask) readToken(ctx context.Context, account string) error {
	if t.tokenAccount == account && t.worker.now().Before(t.tokenUntil) {
		return nil
	}
	token, _, err := t.worker.agent.member.istiodToken(ctx, account, tokenLife)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: ServiceAccount %s/%s comes with the Work of the reader; look at the Works of this cluster", errNoAccount, meshv1alpha1.IstioNamespace, account)
	case err != nil:
		return fmt.Errorf("make a token for istiod; the agent needs to create serviceaccounts/token of %s/%s: %w", meshv1alpha1.IstioNamespace, account, err)
	}
	t.token.Store(&token)
	t.tokenAccount, t.tokenUntil = account, t.worker.now().Add(tokenLife*3/4)
	return nil
}
