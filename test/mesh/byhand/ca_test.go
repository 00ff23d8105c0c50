package byhand

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reloadPatience is longer than an istiod takes to load what it will load.
const reloadPatience = 3 * time.Second

// ignoredRoot is what istiod says when it will not load a root.
const ignoredRoot = "Multi root is disabled, updating new ROOT-CA not supported"

// signer is the subject of what has signed a new certificate, and the roots that
// come with it.
func (m *member) signer(t *testing.T) (string, []byte) {
	t.Helper()
	certificate := m.identity(t).Certificate()
	return certificate.Chain[0].Issuer.CommonName + " < " + certificate.Chain[1].Issuer.CommonName, certificate.Roots
}

// trusts waits until istiod tells these roots to trust, in the ConfigMap.
func (m *member) trusts(t *testing.T, what string, roots []byte) {
	t.Helper()
	eventually(t, what, func() error {
		found, err := m.istiod.TrustedRoots(t.Context(), "default")
		if err == nil && !bytes.Equal(found, roots) {
			err = fmt.Errorf("%s trusts %d bytes of PEM, want %d", m.name, len(found), len(roots))
		}
		return err
	})
}

// signs waits until new certificates have this issuer and its parent.
func (m *member) signs(t *testing.T, what, want string) {
	t.Helper()
	eventually(t, what, func() error {
		if got, _ := m.signer(t); got != want {
			return fmt.Errorf("signed by %s, want %s", got, want)
		}
		return nil
	})
}

func TestIntermediateIsReloadedUnderTheSameRoot(t *testing.T) {
	root := newAuthority(t, "root")
	us := prepared(t, root, map[string]string{"us": ""})["us"]
	us.startIstiod(t.Context(), t)
	us.trusts(t, "root in the ConfigMap", root.pem)
	us.signs(t, "first intermediate signs", "intermediate of us < root")
	require.NoError(t, us.cacerts(t.Context(), root.cacerts("us, second")))
	us.signs(t, "second intermediate signs", "intermediate of us, second < root")
}

func TestAnotherRootIsIgnored(t *testing.T) {
	root, second := newAuthority(t, "root"), newAuthority(t, "second root")
	us := prepared(t, root, map[string]string{"us": ""})["us"]
	us.startIstiod(t.Context(), t)
	us.trusts(t, "root in the ConfigMap", root.pem)
	for _, ignored := range []struct {
		what  string
		files map[string][]byte
	}{
		{"another root alone", second.cacerts("us")},
		{"the first root and a further one", root.cacerts("us, second", second)},
	} {
		said := us.count(t, ignoredRoot)
		require.NoError(t, us.cacerts(t.Context(), ignored.files))
		eventually(t, "istiod says that it ignores "+ignored.what, func() error {
			if us.count(t, ignoredRoot) == said {
				return errors.New("it does not")
			}
			return nil
		})
		got, roots := us.signer(t)
		require.Equal(t, "intermediate of us < root", got, ignored.what)
		require.Equal(t, string(root.pem), string(roots), ignored.what)
	}
	begin := time.Now()
	require.NoError(t, us.istiod.Restart(t.Context()))
	t.Logf("%8s restart", time.Since(begin).Round(time.Millisecond))
	us.trusts(t, "both roots after a restart", append(append([]byte{}, root.pem...), second.pem...))
}

func TestRootIsRotatedInSteps(t *testing.T) {
	old, next := newAuthority(t, "old root"), newAuthority(t, "next root")
	us := prepared(t, old, map[string]string{"us": ""})["us"]
	us.startIstiod(t.Context(), t, "ISTIO_MULTIROOT_MESH=true")
	us.trusts(t, "old root alone", old.pem)
	for _, step := range []struct {
		what, signer string
		files        map[string][]byte
	}{
		{"both roots, old signer", "intermediate of us < old root", old.cacerts("us", next)},
		{"both roots, next signer", "intermediate of us < next root", next.cacerts("us", old)},
		{"next root alone", "intermediate of us < next root", next.cacerts("us")},
	} {
		require.NoError(t, us.cacerts(t.Context(), step.files))
		us.signs(t, step.what+": signer", step.signer)
		us.trusts(t, step.what+": ConfigMap", step.files["root-cert.pem"])
		_, roots := us.signer(t)
		require.Equal(t, string(step.files["root-cert.pem"]), string(roots))
	}
}

func TestCACertsThatComeLateNeedARestart(t *testing.T) {
	us := prepared(t, nil, map[string]string{"us": ""})["us"]
	us.startIstiod(t.Context(), t)
	own, _ := us.istiod.TrustedRoots(t.Context(), "default")
	eventually(t, "istiod has made its own root", func() (err error) {
		own, err = us.istiod.TrustedRoots(t.Context(), "default")
		return err
	})
	root := newAuthority(t, "root")
	require.NoError(t, us.cacerts(t.Context(), root.cacerts("us")))
	require.Never(t, func() bool {
		roots, err := us.istiod.TrustedRoots(t.Context(), "default")
		return err == nil && !bytes.Equal(roots, own)
	}, reloadPatience, 100*time.Millisecond, "it signs with its own until it is started again")
	require.NoError(t, us.istiod.Restart(t.Context()))
	us.trusts(t, "root after a restart", root.pem)
}
