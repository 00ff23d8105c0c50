package meshlab

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
	"github.com/flotilla-io/flotilla/test/mesh/istiolab"
)

// Mesh is the name of the Mesh of the tutorial, and of most tests.
const Mesh = "mesh1"

// Manifest is a manifest of a Mesh of some clusters, in which as little time goes
// by as is allowed unless its lines, which are more of its spec, say otherwise.
func Manifest(name string, clusters []string, spec ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "---\napiVersion: %s\nkind: Mesh\nmetadata: {name: %s}\nspec:\n", meshv1alpha1.GroupVersion, name)
	fmt.Fprintf(&b, "  clusterAffinity: {clusterNames: [%s]}\n", strings.Join(clusters, ", "))
	for _, line := range []string{"withdrawAfter: 30s", fmt.Sprintf("trust: {workloadCertificateLifetime: %s}", CertificateLifetime)} {
		field, _, _ := strings.Cut(line, ":")
		if !slices.ContainsFunc(spec, func(given string) bool { return strings.HasPrefix(given, field+":") }) {
			spec = append(slices.Clone(spec), line)
		}
	}
	for _, line := range spec {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return b.String()
}

// Establish applies a Mesh and waits until it is ready. Where its CA came after
// istiod's start istiod is started again, which a person is asked to do.
func (s *Session) Establish(clusters []string, links int, spec ...string) *meshv1alpha1.Mesh {
	s.Helper()
	s.Apply(lab.Fed, Manifest(Mesh, clusters, spec...))
	s.TakeCA(clusters...)
	n := len(clusters)
	return s.Ready(Mesh, fmt.Sprintf("%d/%d", n, n), fmt.Sprintf("%d/%d", links, links))
}

// TakeCA waits for the CA of the Mesh in members, and starts the istiods again that have
// another one.
func (s *Session) TakeCA(names ...string) {
	s.Helper()
	roots := map[string][]byte{}
	var group errgroup.Group
	for _, name := range names {
		m := s.Mesh.Members[name]
		s.Await("Secret cacerts of "+Mesh+" is in "+name, func() error {
			secret, err := m.Core.CoreV1().Secrets(istiolab.Namespace).Get(s.Context(), "cacerts", metav1.GetOptions{})
			if err == nil && secret.Labels[meshv1alpha1.MeshLabel] != Mesh {
				err = fmt.Errorf("the Secret there is labelled %v", secret.Labels)
			}
			if err == nil {
				roots[name] = secret.Data["root-cert.pem"]
			}
			return err
		})
		if trusted, err := m.Istiod.TrustedRoots(s.Context(), "default"); err != nil || !bytes.Equal(trusted, roots[name]) {
			group.Go(func() error { return m.RestartIstiod(s.Context()) })
		}
	}
	if err := group.Wait(); err != nil {
		s.Fatal(err)
	}
	for _, name := range names {
		s.Await("istiod of "+name+" has the root of "+Mesh, func() error {
			trusted, err := s.Mesh.Members[name].Istiod.TrustedRoots(s.Context(), "default")
			if err == nil && !bytes.Equal(trusted, roots[name]) {
				err = fmt.Errorf("it trusts\n%s, want\n%s", trusted, roots[name])
			}
			return err
		})
	}
}

// WithoutCA makes istiods have a CA of their own, as after an installation without
// further ado.
func (s *Session) WithoutCA() {
	s.Helper()
	begun := false
	for name, m := range s.Mesh.Members {
		err := m.Core.CoreV1().Secrets(istiolab.Namespace).Delete(s.Context(), "cacerts", metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			s.Fatal(err)
		}
		if err := m.RestartIstiod(s.Context()); err != nil {
			s.Fatal(err)
		}
		begun = true
		s.Logf("istiod of %s has a CA of its own again", name)
	}
	if begun {
		s.Run(lab.Fed, "delete", "secret", "--namespace=karmada-system", meshv1alpha1.TrustSecretName(Mesh), "--ignore-not-found")
	}
}

// Dissolve deletes a Mesh and waits until it is gone, and its objects are. When the Mesh
// says that deletions wait for a person they are confirmed.
func (s *Session) Dissolve(name string) {
	s.Helper()
	s.Run(lab.Fed, "delete", meshes, name, "--ignore-not-found", "--wait=false")
	s.Await("Mesh "+name+" is gone", func() error {
		out, err := s.Try(lab.Fed, "get", meshes, name, "--ignore-not-found", "--output=name")
		if err == nil && strings.TrimSpace(out) != "" {
			if mesh, err := s.GetMesh(name); err == nil {
				s.confirmFor(mesh)
			}
			err = fmt.Errorf("it is there\n%s", s.Show(name))
		}
		return err
	})
}

// confirmFor confirms deletions if a Mesh says that a cluster waits for that.
func (s *Session) confirmFor(mesh *meshv1alpha1.Mesh) {
	s.Helper()
	for i := range mesh.Status.Clusters {
		available := meta.FindStatusCondition(mesh.Status.Clusters[i].Conditions, meshv1alpha1.ConditionAvailable)
		if available != nil && available.Reason == names.ConditionDeletionsHeld {
			for _, name := range Names {
				s.confirmDeletions(name)
			}
			return
		}
	}
}

// Edit merges a patch into a Mesh.
func (s *Session) Edit(name, patch string) {
	s.Helper()
	s.Run(lab.Fed, "patch", meshes, name, "--type=merge", "--patch="+patch)
}
