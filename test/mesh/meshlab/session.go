package meshlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// MeshPatience is how long a mesh of three may take to become ready on a loaded
// machine; 10 s are usual.
const MeshPatience = time.Minute

// Session is a test at the keyboard of a lab.
type Session struct {
	*lab.Session
	Mesh *Lab
}

// Begin begins a session in namespace default, without a Mesh and without hello,
// all clusters Ready and each in a network of its own. What an earlier test has
// left is removed here and not at its end, so that a test that fails shows it.
func (l *Lab) Begin(t testing.TB) *Session {
	t.Helper()
	s := &Session{Session: l.Session(t), Mesh: l}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.report())
		}
	})
	for _, name := range Names {
		if _, err := s.Try(lab.Fed, "get", "cluster", name); err != nil {
			s.Crash("agent-" + name) // it joins again
		}
		s.Shows(lab.Fed, "True", "get", "cluster", name, `--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	}
	for _, mesh := range strings.Fields(s.Run(lab.Fed, "get", meshes, "--output=jsonpath={.items[*].metadata.name}")) {
		s.Dissolve(mesh)
	}
	s.NoHello()
	l.Wire(nil)
	return s
}

const (
	meshes      = "meshes.mesh.flotilla.io"
	meshMembers = "meshmembers.mesh.flotilla.io"
)

// report is what is known beside the playground's own.
func (l *Lab) report() string {
	var out strings.Builder
	for _, name := range Names {
		m := l.Members[name]
		for _, istiod := range m.Istiods() {
			fmt.Fprintln(&out, istiod.LogTail(25))
		}
		m.plane.mu.Lock()
		fmt.Fprintf(&out, "--- plane of %s: network %s, gateway at %q, given %q, %d servers, cut off: %v, failed: %v\n",
			name, m.plane.network, m.plane.listens(), m.plane.ip, len(m.plane.servers), m.plane.cut, m.plane.failed)
		m.plane.mu.Unlock()
	}
	return out.String()
}

// GetMesh is a Mesh as it is.
func (s *Session) GetMesh(name string) (*meshv1alpha1.Mesh, error) {
	return get[meshv1alpha1.Mesh](s, meshes, name)
}

// GetMember is the part of a cluster in a Mesh.
func (s *Session) GetMember(cluster, mesh string) (*meshv1alpha1.MeshMember, error) {
	return get[meshv1alpha1.MeshMember](s, meshMembers, mesh, "--namespace=karmada-es-"+cluster)
}

func get[T any](s *Session, resource, name string, more ...string) (*T, error) {
	out, err := s.Try(lab.Fed, append([]string{"get", resource, name, "--output=json"}, more...)...)
	if err != nil {
		return nil, err
	}
	object := new(T)
	return object, json.Unmarshal([]byte(out), object)
}

// Becomes waits until a Mesh is as wanted, and returns it. If it does not become
// so the Mesh is shown as a person would look at it.
func (s *Session) Becomes(name, what string, look func(*meshv1alpha1.Mesh) error) *meshv1alpha1.Mesh {
	s.Helper()
	return s.BecomesWithin(MeshPatience, name, what, look)
}

// BecomesWithin is Becomes with another patience.
func (s *Session) BecomesWithin(patience time.Duration, name, what string, look func(*meshv1alpha1.Mesh) error) *meshv1alpha1.Mesh {
	s.Helper()
	var mesh *meshv1alpha1.Mesh
	begin := time.Now()
	deadline := begin.Add(patience)
	s.Within(patience+time.Minute, what, func() (string, bool) {
		var err error
		if mesh, err = s.GetMesh(name); err == nil {
			err = look(mesh)
		}
		if err == nil {
			return "", true
		}
		if time.Now().After(deadline) {
			s.Fatalf("not after %s: %s: %v\n%s", patience, what, err, s.Show(name))
		}
		return err.Error(), false
	})
	s.Logf("%8s %s", time.Since(begin).Round(time.Millisecond), what)
	return mesh
}

// Show is a Mesh as a person looks at it, and what agents say of it.
func (s *Session) Show(name string) string {
	var out strings.Builder
	for _, args := range [][]string{
		{"get", meshes, "--output=wide"},
		{"get", meshes, name, "--output=jsonpath={range .status.links[*]}{.from} > {.to}: {.phase} {.step} {.reason}: {.message}{\"\\n\"}{end}{.status.trust}{\"\\n\"}{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{\"\\n\"}{end}{range .status.clusters[*]}{@}{\"\\n\"}{end}"},
		{"get", "works.work.karmada.io", "--all-namespaces", "--selector=" + meshv1alpha1.MeshLabel + "=" + name},
		{"get", meshMembers, "--all-namespaces", "--output=jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {.metadata.deletionTimestamp}\n  spec: {.spec}\n  status: {.status}{\"\\n\"}{end}"},
	} {
		text, err := s.Try(lab.Fed, args...)
		if err != nil {
			text = err.Error()
		}
		fmt.Fprintln(&out, text)
	}
	return out.String()
}

// Ready waits until kubectl get meshes shows a Mesh with these clusters and
// links, ready: "3/3", "6/6".
func (s *Session) Ready(name, clusters, links string) *meshv1alpha1.Mesh {
	s.Helper()
	return s.Becomes(name, fmt.Sprintf("Mesh %s shows %s %s True", name, clusters, links), func(mesh *meshv1alpha1.Mesh) error {
		out, err := s.Try(lab.Fed, "get", meshes, name, "--no-headers")
		if err != nil {
			return err
		}
		if mesh.Status.ObservedGeneration != mesh.Generation {
			return fmt.Errorf("generation %d is observed, %d there", mesh.Status.ObservedGeneration, mesh.Generation)
		}
		if fields := strings.Fields(out); len(fields) < 4 || strings.Join(fields[:4], " ") != strings.Join([]string{name, clusters, links, "True"}, " ") {
			return errors.New("shown is " + strings.TrimSpace(out))
		}
		return nil
	})
}

// Link is an ordered pair of a Mesh; nil if it is not there.
func Link(mesh *meshv1alpha1.Mesh, from, to string) *meshv1alpha1.MeshLink {
	for i := range mesh.Status.Links {
		if l := &mesh.Status.Links[i]; l.From == from && l.To == to {
			return l
		}
	}
	return nil
}

// Tells waits until a link says which step is missing, why, and mentions words of
// the way out.
func (s *Session) Tells(name, from, to string, step meshv1alpha1.LinkStep, reason string, words ...string) *meshv1alpha1.Mesh {
	s.Helper()
	return s.Becomes(name, fmt.Sprintf("link %s > %s of Mesh %s tells %s %s %q", from, to, name, step, reason, words), func(mesh *meshv1alpha1.Mesh) error {
		l := Link(mesh, from, to)
		switch {
		case l == nil:
			return errors.New("there is no such link")
		case l.Step != step || l.Reason != reason:
			return fmt.Errorf("it tells %s %s: %s", l.Step, l.Reason, l.Message)
		}
		for _, word := range words {
			if !strings.Contains(l.Message, word) {
				return fmt.Errorf("its message does not tell %q: %s", word, l.Message)
			}
		}
		return nil
	})
}
