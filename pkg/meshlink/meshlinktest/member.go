package meshlinktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/gateway"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// Member is a cluster with Istio.
type Member struct {
	// Incarnation tells members of one name apart.
	Incarnation int
	// Name of the cluster.
	Name string
	// ClusterID and Version of its istiod.
	ClusterID, Version string
	// NoAddress keeps the gateway's Service from getting an address.
	NoAddress bool
	// DeadAddress has its peers find one of several addresses of the gateway dead.
	DeadAddress bool
	// Refuse makes the agent fail to apply objects of a kind, with these words.
	Refuse map[string]string
	// SingleRoot makes istiod run without ISTIO_MULTIROOT_MESH.
	SingleRoot bool
	// Restarts starts istiod again when its CA has come and it was started without,
	// as people are asked to.
	Restarts bool
	// Hasty has its agent end every token but the newest; Unlabelled has it say that
	// its network is labelled, when it is not. They are for tests of tests.
	Hasty, Unlabelled bool
	// Hung has its istiod neither answer nor look at anything.
	Hung bool
	// Held has its agent hold the deletions of what Works brought, until a person
	// confirms them.
	Held bool
	// Regions that its nodes have.
	Regions []string

	objects map[string]*object
	network string // label of istio-system
	effect  *trust.Effect
	remote  map[string]credential // by peer: what istiod uses
	tokens  []token
	minted  int
	outside bool // its CA is not the mesh's of today: istiod has to be restarted
}

// object is one in the member.
type object struct {
	content map[string]any
	work    string // that manages it; empty when nobody does
	keep    bool   // when the Work goes
}

// credential is what istiod reads a peer with.
type credential struct{ secret, token string }

// token is one of the member's reader.
type token struct {
	data  *remotesecret.Token
	made  time.Time
	ended bool
}

// NewMember is a cluster with Istio, started without a CA of its own.
func NewMember(name string) *Member {
	return &Member{
		Name: name, ClusterID: name, Version: "1.31.1",
		objects: map[string]*object{}, remote: map[string]credential{},
	}
}

func key(content map[string]any) string {
	meta, _ := content["metadata"].(map[string]any)
	namespace, _ := meta["namespace"].(string)
	name, _ := meta["name"].(string)
	kind, _ := content["kind"].(string)
	return kind + " " + namespace + "/" + name
}

// Put has an object in the member that nobody manages.
func (m *Member) Put(content map[string]any) { m.objects[key(content)] = &object{content: content} }

// Has says whether an object is there, by kind, namespace and name.
func (m *Member) Has(kind, namespace, name string) bool {
	return m.objects[kind+" "+namespace+"/"+name] != nil
}

// Apply makes the member have what some Works bring, and nothing that Works brought
// before. It returns why a Work was not applied, by its name.
func (m *Member) Apply(works []*workv1alpha1.Work) map[string]string {
	failures, wanted := map[string]string{}, map[string]bool{}
	for _, work := range works {
		for _, manifest := range work.Spec.Workload.Manifests {
			content := map[string]any{}
			if err := json.Unmarshal(manifest.Raw, &content); err != nil {
				failures[work.Name] = err.Error()
				continue
			}
			at := key(content)
			wanted[at] = true
			if words := m.Refuse[content["kind"].(string)]; words != "" {
				failures[work.Name] = words
				continue
			}
			if there := m.objects[at]; there != nil && there.work == "" && work.Annotations[names.ConflictResolutionAnnotation] != "overwrite" {
				failures[work.Name] = fmt.Sprintf("%s exists in cluster %s and belongs to somebody else", at, m.Name)
				continue
			}
			keep := work.Spec.PreserveResourcesOnDeletion
			m.objects[at] = &object{content: content, work: work.Name, keep: keep != nil && *keep}
		}
	}
	for at, object := range m.objects {
		switch {
		case object.work == "" || wanted[at] || m.Held:
		case object.keep:
			object.work = ""
		default:
			m.remove(at)
		}
	}
	return failures
}

// secret is one of istio-system; nil when there is none.
func (m *Member) secret(name string) *corev1.Secret {
	object := m.objects["Secret "+meshv1alpha1.IstioNamespace+"/"+name]
	if object == nil {
		return nil
	}
	text, err := json.Marshal(object.content)
	if err != nil {
		return nil
	}
	secret := &corev1.Secret{}
	if err := json.Unmarshal(text, secret); err != nil {
		return nil
	}
	return secret
}

// Restart starts istiod anew: it loads whatever is there.
func (m *Member) Restart(now time.Time) {
	m.Hung = false
	m.effect = m.plugged(now)
	if m.effect == nil {
		m.effect = selfSigned(m.Name)
	}
	m.outside = m.secret(trust.CACertsSecret) == nil
	m.Reload(now)
}

// Reload is istiod's look at its CA and its remote secrets.
func (m *Member) Reload(now time.Time) {
	if m.Hung {
		return
	}
	switch next := m.plugged(now); {
	case m.effect == nil:
		m.Restart(now)
		return
	case next == nil:
	case m.loads(next), m.Restarts && m.outside:
		m.effect, m.outside = next, false
	}
	peers := map[string]bool{}
	for at := range m.objects {
		name, ok := strings.CutPrefix(at, "Secret "+meshv1alpha1.IstioNamespace+"/"+remotesecret.Name(""))
		if !ok {
			continue
		}
		secret := m.secret(remotesecret.Name(name))
		peers[name] = true
		m.remote[name] = credential{secret: remotesecret.SecretHash(name, secret.Data), token: bearerOf(secret.Data[name])}
	}
	for peer := range m.remote {
		if !peers[peer] {
			delete(m.remote, peer)
		}
	}
}

func (m *Member) loads(next *trust.Effect) bool {
	if m.SingleRoot {
		return slices.Equal(m.effect.Roots, next.Roots)
	}
	return trust.Loadable(m.effect.Roots, next.Roots)
}

// plugged is what cacerts would give; nil when there is none that can be used.
func (m *Member) plugged(now time.Time) *trust.Effect {
	secret := m.secret(trust.CACertsSecret)
	if secret == nil {
		return nil
	}
	signer, err := trust.ParseCACerts(secret.Data, now)
	if err != nil {
		return nil
	}
	roots, err := trust.FingerprintsOf(secret.Data[trust.RootCertKey])
	if err != nil {
		return nil
	}
	return &trust.Effect{Roots: roots, Signer: signer.Root, Intermediate: signer.Fingerprint()}
}

func selfSigned(name string) *trust.Effect {
	f := trust.Fingerprint(trust.BundleHash([]byte(name)))
	return &trust.Effect{Roots: []trust.Fingerprint{f}, Signer: f, Intermediate: f}
}

// Effect is the CA that istiod has in effect; nil when it never started.
func (m *Member) Effect() *trust.Effect { return m.effect }

// Reads says whether its istiod has a remote secret for a peer, and whether the peer
// lets it in.
func (m *Member) Reads(peer *Member, now time.Time) (has, works bool) {
	c, has := m.remote[peer.Name]
	return has, has && peer.accepts(c.token, now)
}

// accepts says whether a token is one of the member's that is valid.
func (m *Member) accepts(bearer string, now time.Time) bool {
	return slices.ContainsFunc(m.tokens, func(t token) bool {
		return t.data.Bearer == bearer && !t.ended && now.Before(t.data.Expires) && m.Has("ServiceAccount", meshv1alpha1.IstioNamespace, remotesecret.ReaderName)
	})
}

// gatewayAddresses are those of the gateway's Service; false when there is none.
func (m *Member) gatewayAddresses(name string, port int32) ([]meshv1alpha1.GatewayAddress, bool) {
	object := m.objects["Service "+meshv1alpha1.IstioNamespace+"/"+name]
	if object == nil {
		return nil, false
	}
	if m.NoAddress {
		return nil, true
	}
	return []meshv1alpha1.GatewayAddress{{Address: "gw." + m.Name + ".example.org", Port: port}}, true
}

// Network is the label of istio-system.
func (m *Member) Network() string { return m.network }

// CA of API servers; no connection is ever made with it.
var caBundle = sync.OnceValue(func() []byte {
	root, err := trust.NewRoot(trust.Mesh{Name: "api", TrustDomain: "example.org"}, 1, time.Unix(1700000000, 0), 100*365*24*time.Hour)
	if err != nil {
		panic(err)
	}
	return trust.Bundle(root.Certificate)
})

func bearerOf(kubeconfig []byte) string {
	for _, line := range strings.Split(string(kubeconfig), "\n") {
		if _, text, ok := strings.Cut(line, "token: "); ok {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

// GatewayLabel is the label of the network on the gateway's Service; empty when there
// is no gateway.
func (m *Member) GatewayLabel() string {
	object := m.objects["Service "+meshv1alpha1.IstioNamespace+"/"+gateway.ServiceName(&meshv1alpha1.MeshGateway{})]
	if object == nil {
		return ""
	}
	meta, _ := object.content["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	label, _ := labels[gateway.NetworkLabel].(string)
	return label
}

// Remove has an object taken out of the member by hand.
func (m *Member) Remove(kind, namespace, name string) {
	m.remove(kind + " " + namespace + "/" + name)
}

// remove takes an object away. Tokens of a ServiceAccount end with it, also if there is
// another one of that name later.
func (m *Member) remove(at string) {
	delete(m.objects, at)
	if at == "ServiceAccount "+meshv1alpha1.IstioNamespace+"/"+remotesecret.ReaderName {
		m.endAll()
	}
}

// Relabel has the labels of an object changed by hand.
func (m *Member) Relabel(kind, namespace, name string, labels map[string]any) {
	meta, ok := m.objects[kind+" "+namespace+"/"+name].content["metadata"].(map[string]any)
	if ok {
		meta["labels"] = labels
	}
}

// Expired says whether the token with which its istiod reads a peer has come to its
// end by itself, or is none of the peer's.
func (m *Member) Expired(peer *Member, now time.Time) bool {
	c := m.remote[peer.Name]
	i := slices.IndexFunc(peer.tokens, func(t token) bool { return t.data.Bearer == c.token })
	return i < 0 || !now.Before(peer.tokens[i].data.Expires)
}
