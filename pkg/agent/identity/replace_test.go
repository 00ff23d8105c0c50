package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/cert"
	"k8s.io/utils/clock"
)

// joined is an agent that needs no token any more.
func joined(t *testing.T, f *federation, pins ...string) *agent {
	t.Helper()
	f.set(func() { f.tokens[token] = "eu" })
	a := start(t, f, token, func(o *Options) { o.CAHashes = pins })
	_, err := a.whoami()
	require.NoError(t, err)
	a.eventually("it is stored", func() bool { b, err := Files(a.dir).Load(t.Context()); return err == nil && len(b.Certificate) > 0 })
	f.set(func() { delete(f.tokens, token) })
	return a
}

func (a *agent) isEU() bool {
	user, err := a.whoami()
	return err == nil && user == "system:cluster:eu"
}

func TestAReplacedCA(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	old, next := f.authority, newAuthority(t, "next")
	a := joined(t, f, old.hash(), next.hash())
	f.replaceCA(t, next, next)
	a.eventually("the pinned one is found", a.isEU)
	a.eventually("trouble is over", func() bool { return a.Trouble() == nil })
	require.Len(t, f.asked(), 1, "the certificate counts, there is no other token")
	stored := func() int {
		b, err := Files(a.dir).Load(t.Context())
		require.NoError(t, err)
		certificates, err := cert.ParseCertsPEM(b.CA)
		require.NoError(t, err)
		return len(certificates)
	}
	a.eventually("it is stored", func() bool { return stored() == 2 })

	t.Log("Another server may still show the old one.")
	f.serveWith(t, old)
	f.CloseClientConnections()
	a.eventually("both count", a.isEU)

	t.Log("When the old hash is gone, so is the old CA.")
	f.serveWith(t, next)
	f.CloseClientConnections()
	again := start(t, f, "", func(o *Options) { o.Store, o.CAHashes = Files(a.dir), []string{next.hash()} })
	require.True(t, again.isEU())
	require.NoError(t, again.Trouble())
	f.serveWith(t, old)
	f.CloseClientConnections()
	again.eventually("it is said", func() bool { return again.asks() != nil && again.Trouble() != nil })
	require.ErrorContains(t, again.Trouble(), "not of the pinned CA")
}

// asks returns why the federation does not answer.
func (a *agent) asks() error {
	_, err := a.whoami()
	return err
}

func TestAReplacementThatIsAnnounced(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	old, next := f.authority, newAuthority(t, "next")
	f.set(func() { f.showCA = append(old.pem(), next.pem()...) })
	a := joined(t, f, old.hash(), next.hash())
	f.serveWith(t, next)
	f.CloseClientConnections()
	a.eventually("it is known already", a.isEU)
	require.NoError(t, a.Trouble())
	require.Len(t, f.asked(), 1)
}

func TestAReplacementThatIsNotPinned(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	old, next := f.authority, newAuthority(t, "next")
	a := joined(t, f, old.hash())
	f.replaceCA(t, next, next)
	a.eventually("it is refused", func() bool { return a.asks() != nil && errors.Is(a.Trouble(), ErrUntrusted) })
	said := a.fails(ErrUntrusted)
	require.Contains(t, said, next.hash())
	require.Contains(t, said, old.hash())
	require.Len(t, f.asked(), 1)
	f.replaceCA(t, old, old)
	a.eventually("it was somebody between", a.isEU)
	a.eventually("trouble is over", func() bool { return a.Trouble() == nil })
}

func TestACAIsNotLookedForAllTheTime(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	old, next := f.authority, newAuthority(t, "next")
	a := joined(t, f, old.hash())
	f.set(func() { f.discoveries = 0 })
	f.replaceCA(t, next, next)
	require.Never(t, func() bool { return a.asks() == nil }, lookAtCA/2, 50*time.Millisecond)
	a.fails(ErrUntrusted)
	f.set(func() { require.LessOrEqual(t, f.discoveries, 2) })
}
