package faults

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// foreign is a CA that a person has made for a cluster.
func foreign(t *testing.T, cluster string) map[string][]byte {
	t.Helper()
	company := trust.Mesh{Name: "company", TrustDomain: "cluster.local"}
	root, err := trust.NewRoot(company, 1, time.Now(), time.Hour)
	require.NoError(t, err)
	roots, err := trust.NewStore(root).Trusted()
	require.NoError(t, err)
	signer, err := trust.NewIntermediate(root, company, cluster, time.Now(), time.Hour)
	require.NoError(t, err)
	files, err := trust.CACerts(signer, roots, time.Now())
	require.NoError(t, err)
	return files
}

// TestAForeignCAIsNotTouched: what the Mesh did not make is not replaced before
// somebody says so.
func TestAForeignCAIsNotTouched(t *testing.T) {
	s := shared.Begin(t)
	s.Hello(map[string]int{"eu": 1, "ap": 1, "us": 1})
	us := shared.Members["us"]
	secrets := us.Core.CoreV1().Secrets(istiolab.Namespace)
	s.Run("us", "delete", "secret", "cacerts", "--namespace=istio-system", "--ignore-not-found")
	files := foreign(t, "us")
	made, err := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cacerts"}, Data: files}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = secrets.Delete(context.Background(), "cacerts", metav1.DeleteOptions{}) })
	require.NoError(t, us.RestartIstiod(t.Context()))

	s.Apply(lab.Fed, meshlab.Manifest(meshlab.Mesh, meshlab.Names))
	for _, name := range []string{"eu", "ap"} {
		s.TakeCA(name)
	}
	for _, p := range [][2]string{{"eu", "us"}, {"us", "eu"}} {
		s.Tells(meshlab.Mesh, p[0], p[1], meshv1alpha1.StepCA, "CANotInEffect", "istio-system/cacerts", "did not make", "adopt: true")
	}
	mesh := s.Becomes(meshlab.Mesh, "2 of 6 links are there", func(mesh *meshv1alpha1.Mesh) error {
		if l := meshlab.Link(mesh, "eu", "ap"); l == nil || l.Phase != meshv1alpha1.LinkReady {
			return errors.New("eu > ap is not ready")
		}
		return nil
	})
	condition := trusted(mesh, "us")
	require.NotNil(t, condition)
	require.Equal(t, metav1.ConditionFalse, condition.Status)
	require.Equal(t, trust.CAForeign, condition.Reason)
	require.Contains(t, condition.Message, "adopt: true")
	s.Synced("eu", "ap")
	s.Synced("us")
	now, err := secrets.Get(t.Context(), "cacerts", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, made.ResourceVersion, now.ResourceVersion, "nobody has written it")
	require.Equal(t, files, now.Data)

	s.Edit(meshlab.Mesh, `{"spec":{"trust":{"adopt":true}}}`)
	s.TakeCA("us")
	s.Ready(meshlab.Mesh, "3/3", "6/6")
	s.Weights("us", []string{"us"}, []string{"ap", "eu"})
	load := s.StartLoad("us")
	load.Answers(5, meshlab.Names...)
	load.Stop()
}

// trusted is the condition of a cluster about its CA.
func trusted(mesh *meshv1alpha1.Mesh, cluster string) *metav1.Condition {
	for i := range mesh.Status.Clusters {
		c := &mesh.Status.Clusters[i]
		for j := range c.Conditions {
			if c.Name == cluster && c.Conditions[j].Type == meshv1alpha1.ConditionTrusted {
				return &c.Conditions[j]
			}
		}
	}
	return nil
}
