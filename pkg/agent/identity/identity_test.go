package identity

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

const token = "abcdef.0123456789abcdef"

// shifted is a clock that is wrong by a constant, whose timers are right.
type shifted struct {
	clock.RealClock
	by atomic.Int64
}

func (s *shifted) Now() time.Time { return time.Now().Add(time.Duration(s.by.Load())) }

func (s *shifted) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

// agent is an Identity at work.
type agent struct {
	*Identity
	t         *testing.T
	client    *http.Client
	tokenFile string
	dir       string
}

// start runs an identity until the test ends. The token is not written if it is empty.
func start(t *testing.T, f *federation, tokenText string, change func(*Options)) *agent {
	t.Helper()
	dir := t.TempDir()
	a := &agent{t: t, tokenFile: filepath.Join(dir, "token"), dir: filepath.Join(dir, "identity")}
	if tokenText != "" {
		a.write(tokenText)
	}
	opts := Options{Cluster: "eu", Server: f.URL, CAHashes: []string{f.hash()}, TokenFile: a.tokenFile, Store: Files(a.dir)}
	if change != nil {
		change(&opts)
	}
	var err error
	a.Identity, err = New(opts)
	require.NoError(t, err)
	a.client, err = rest.HTTPClientFor(a.Config())
	require.NoError(t, err)
	a.run()
	return a
}

func (a *agent) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); a.Run(ctx) }()
	a.t.Cleanup(func() { cancel(); <-ended })
}

func (a *agent) write(text string) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(a.tokenFile, []byte(text+"\n"), 0o600))
}

// whoami asks the federation, as long as an agent's request may take.
func (a *agent) whoami() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return a.whoamiWithin(ctx)
}

func (a *agent) whoamiWithin(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.opts.Server+"/whoami", http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	var user string
	return user, json.Unmarshal(body, &user)
}

func (a *agent) eventually(reason string, ok func() bool) {
	a.t.Helper()
	require.Eventually(a.t, ok, 20*time.Second, 20*time.Millisecond, reason)
}

// fails waits for trouble of a kind and returns what it says.
func (a *agent) fails(kind error) string {
	a.t.Helper()
	a.eventually(kind.Error(), func() bool { return errors.Is(a.Trouble(), kind) })
	return a.Trouble().Error()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestATokenBecomesACertificate(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	a := start(t, f, token, nil)
	user, err := a.whoami()
	require.NoError(t, err)
	require.Equal(t, "system:cluster:eu", user)
	require.WithinDuration(t, time.Now().Add(DefaultLifetime), a.Expires(), time.Minute, "what was asked for")
	require.Equal(t, []string{"system:bootstrap:eu"}, f.asked())

	a.eventually("the key is stored, for its owner", func() bool {
		info, err := os.Stat(filepath.Join(a.dir, pairFile))
		return err == nil && info.Mode().Perm() == 0o600
	})
}

func TestAStoredCertificateNeedsNoToken(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	a := start(t, f, token, nil)
	_, err := a.whoami()
	require.NoError(t, err)
	a.eventually("it is stored", func() bool { _, err := os.Stat(filepath.Join(a.dir, pairFile)); return err == nil })
	f.set(func() { delete(f.tokens, token) })

	again := start(t, f, "", func(o *Options) { o.Store = Files(a.dir) })
	user, err := again.whoami()
	require.NoError(t, err)
	require.Equal(t, "system:cluster:eu", user)
	require.Len(t, f.asked(), 1, "no second request")
	require.NoError(t, again.Trouble())
}

func TestWhatIsStoredForOthersIsNotUsed(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	a := start(t, f, token, nil)
	_, err := a.whoami()
	require.NoError(t, err)

	t.Run("another cluster", func(t *testing.T) {
		f.set(func() { f.tokens["aaaaaa.0123456789abcdef"] = "ap" })
		b := start(t, f, "aaaaaa.0123456789abcdef", func(o *Options) { o.Cluster, o.Store = "ap", Files(a.dir) })
		user, err := b.whoami()
		require.NoError(t, err)
		require.Equal(t, "system:cluster:ap", user)
	})
	t.Run("another federation", func(t *testing.T) {
		other := newFederation(t, clock.RealClock{})
		other.tokens[token] = "eu"
		b := start(t, other, token, func(o *Options) { o.Store = Files(a.dir) })
		user, err := b.whoami()
		require.NoError(t, err)
		require.Equal(t, "system:cluster:eu", user)
		require.Equal(t, []string{"system:bootstrap:eu"}, other.asked(), "the certificate of the first federation was not shown to the second")
	})
	t.Run("damaged", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(a.dir, pairFile), []byte("x"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(a.dir, caFile), f.pem(), 0o600))
		b := start(t, f, token, func(o *Options) { o.Store = Files(a.dir) })
		_, err := b.whoami()
		require.NoError(t, err)
	})
}

func TestOnlyThePinnedCACounts(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	evil := newAuthority(t, "evil")

	t.Run("another CA", func(t *testing.T) {
		a := start(t, f, token, func(o *Options) { o.CAHashes = []string{evil.hash()} })
		said := a.fails(ErrUntrusted)
		require.Contains(t, said, f.hash())
		require.Contains(t, said, evil.hash())
		require.Empty(t, f.asked(), "the token was not sent")
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_, err := a.whoamiWithin(ctx)
		require.ErrorIs(t, err, ErrWaiting, "requests wait")
		require.ErrorIs(t, err, ErrUntrusted, "and say why")
	})
	t.Run("one of two", func(t *testing.T) {
		a := start(t, f, token, func(o *Options) { o.CAHashes = []string{evil.hash(), f.hash()} })
		_, err := a.whoami()
		require.NoError(t, err, "both keys count while a CA is replaced")
	})
	t.Run("the pinned one beside another", func(t *testing.T) {
		// Somebody between who shows the true CA and their own, and serves with their own.
		middle := newFederation(t, clock.RealClock{})
		middle.tokens[token] = "eu"
		middle.set(func() { middle.showCA = append(middle.pem(), f.pem()...) })
		a := start(t, middle, token, func(o *Options) { o.CAHashes = []string{f.hash()} })
		a.eventually("the connection is not trusted", func() bool { return a.Trouble() != nil })
		require.ErrorContains(t, a.Trouble(), "not of the pinned CA")
		require.Empty(t, middle.asked(), "the token was not sent")
	})
}

func TestARefusedTokenIsSaidAndReplaced(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens["aaaaaa.0123456789abcdef"] = "eu"
	a := start(t, f, token, nil)
	said := a.fails(ErrTokenRefused)
	require.Contains(t, said, "fedctl token create --cluster eu")
	require.Contains(t, said, a.tokenFile)
	require.Contains(t, said, "abcdef.***")
	require.NotContains(t, said, token, "the secret part is not for logs")
	a.write("aaaaaa.0123456789abcdef")
	user, err := a.whoami()
	require.NoError(t, err)
	require.Equal(t, "system:cluster:eu", user)
	a.eventually("trouble is over", func() bool { return a.Trouble() == nil })
}

func TestATokenThatComesLater(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	a := start(t, f, "", nil)
	require.Contains(t, a.fails(ErrNoToken), "does not exist")
	a.write("nonsense")
	a.eventually("what is wrong with it is said", func() bool { return a.Trouble() != nil })
	a.write(token)
	_, err := a.whoami()
	require.NoError(t, err)
}

func TestADenialIsSaid(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "ap"
	f.deny = "the token is for cluster ap"
	a := start(t, f, token, nil)
	said := a.fails(ErrDenied)
	require.Contains(t, said, "the token is for cluster ap")
	require.Contains(t, said, "fedctl token create --cluster eu")
	require.Len(t, f.asked(), 1)
}

func TestNobodyApproves(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	f.silent = true
	a := start(t, f, token, nil)
	a.eventually("it asks", func() bool { return len(f.asked()) == 1 })
	f.set(func() { f.silent = false })
	_, err := a.whoami()
	require.NoError(t, err)
	require.Len(t, f.asked(), 1, "the same request is looked at again")
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	f.lifetime = 4 * time.Second
	a := start(t, f, token, nil)
	_, err := a.whoami()
	require.NoError(t, err)
	first := a.Expires()
	f.set(func() { delete(f.tokens, token) })
	f.set(func() { f.lifetime = time.Hour })
	a.eventually("there is another one", func() bool { return a.Expires().After(first) })
	require.True(t, time.Now().Before(first), "before the first one ended")
	require.Equal(t, []string{"system:bootstrap:eu", "system:cluster:eu"}, f.asked())
	require.NoError(t, a.Trouble())
	user, err := a.whoami()
	require.NoError(t, err)
	require.Equal(t, "system:cluster:eu", user)
}

func TestRenewalAfterWeeks(t *testing.T) {
	t.Parallel()
	c := clocktesting.NewFakeClock(time.Now())
	f := newFederation(t, c)
	f.tokens[token] = "eu"
	a := start(t, f, token, func(o *Options) { o.Clock = c })
	_, err := a.whoami()
	require.NoError(t, err)
	first := a.Expires()
	f.set(func() { delete(f.tokens, token) })
	c.Step(DefaultLifetime * 69 / 100)
	_, err = a.whoami()
	require.NoError(t, err)
	require.Len(t, f.asked(), 1, "too early")
	c.Step(DefaultLifetime * 22 / 100)
	a.eventually("it was renewed", func() bool { c.Step(time.Second); return a.Expires().After(first) })
	require.Equal(t, "system:cluster:eu", f.asked()[1])
	_, err = a.whoami()
	require.NoError(t, err)
	open := f.connections()
	c.Step(drain)
	a.eventually("old connections are closed", func() bool { c.Step(time.Second); return f.connections() < open })
}

func TestAWrongClock(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"slow": -30 * time.Minute, "fast": 30 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, clock.RealClock{})
			f.tokens[token] = "eu"
			f.lifetime = 12 * time.Second // the federation's clock is known to a second
			wrong := &shifted{}
			wrong.by.Store(int64(by))
			a := start(t, f, token, func(o *Options) { o.Clock = wrong })
			_, err := a.whoami()
			require.NoError(t, err)
			first := a.Expires()
			f.set(func() { delete(f.tokens, token); f.lifetime = time.Hour })
			a.eventually("it is renewed by the federation's clock", func() bool { return a.Expires().After(first) })
			require.True(t, time.Now().Before(first))
			require.NoError(t, a.Trouble())
		})
	}
	t.Run("by years", func(t *testing.T) {
		f := newFederation(t, clock.RealClock{})
		f.tokens[token] = "eu"
		wrong := &shifted{}
		wrong.by.Store(int64(10 * 365 * 24 * time.Hour))
		a := start(t, f, token, func(o *Options) { o.Clock = wrong })
		a.eventually("it is said", func() bool { return a.Trouble() != nil })
		require.ErrorContains(t, a.Trouble(), "set the clock")
		require.Empty(t, f.asked())
		wrong.by.Store(0)
		_, err := a.whoami()
		require.NoError(t, err, "once the clock is right")
	})
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	a := start(t, f, token, nil)
	_, err := a.whoami()
	require.NoError(t, err)
	f.set(func() { delete(f.tokens, token); f.revoked["eu"] = f.clock.Now() })
	_, err = a.whoami()
	require.ErrorContains(t, err, "401")
	said := a.fails(ErrCertificateRefused)
	require.Contains(t, said, "unregistered")
	require.Contains(t, said, "fedctl token create --cluster eu")

	f.set(func() { f.tokens["aaaaaa.0123456789abcdef"] = "eu" })
	a.write("aaaaaa.0123456789abcdef")
	a.eventually("it is back", func() bool { user, err := a.whoami(); return err == nil && user == "system:cluster:eu" })
	a.eventually("trouble is over", func() bool { return a.Trouble() == nil })
	require.LessOrEqual(t, len(f.asked()), 4, "a certificate of the second of the revocation is refused, too; then there is a pause")
}

func TestARefusalThatPasses(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	a := start(t, f, token, nil)
	_, err := a.whoami()
	require.NoError(t, err)
	f.set(func() { delete(f.tokens, token); f.revoked["eu"] = time.Now().Add(time.Hour) })
	_, err = a.whoami()
	require.ErrorContains(t, err, "401")
	a.fails(ErrCertificateRefused)
	f.set(func() { delete(f.revoked, "eu") })
	_, err = a.whoami()
	require.NoError(t, err)
	a.eventually("the certificate was not thrown away", func() bool { return a.Trouble() == nil })
	require.Len(t, f.asked(), 1)
}

func TestWhatCannotBeStoredIsUsed(t *testing.T) {
	t.Parallel()
	f := newFederation(t, clock.RealClock{})
	f.tokens[token] = "eu"
	blocked := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	place := Files(filepath.Join(blocked, "identity"))
	a := start(t, f, token, func(o *Options) { o.Store = &fallible{Store: place} })
	_, err := a.whoami()
	require.NoError(t, err)
	a.eventually("it is said", func() bool { return a.Trouble() != nil })
	require.ErrorContains(t, a.Trouble(), "lost with this process")
	require.NoError(t, os.Remove(blocked))
	a.eventually("it is stored later", func() bool { return a.Trouble() == nil })
	b, err := place.Load(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, b.Certificate)
}

// fallible has nothing stored, and saves like the Store.
type fallible struct{ Store }

func (f *fallible) Load(context.Context) (Bundle, error) { return Bundle{}, nil }
