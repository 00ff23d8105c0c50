package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Fed is the federation where a place is asked for; other places are members.
const Fed = "federation"

const (
	// Patience is how long a condition may take on a loaded machine.
	Patience = time.Minute
	// commandTimeout is for one command.
	commandTimeout = 45 * time.Second
	lookAgain      = 200 * time.Millisecond
)

// Session is a test at the keyboard.
type Session struct {
	testing.TB
	*Lab
	// Namespace is what kubectl runs in; default if empty.
	Namespace string
}

// Session begins a session in namespace default.
func (l *Lab) Session(t testing.TB) *Session {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.Report())
		}
	})
	return &Session{TB: t, Lab: l}
}

// NewNamespace begins a session in a new namespace, which is removed again at
// its end. That of an earlier run of the test may still be on its way out.
func (l *Lab) NewNamespace(t testing.TB, name string) *Session {
	t.Helper()
	s := l.Session(t)
	s.Gone(Fed, "namespace", name)
	s.Run(Fed, "create", "namespace", name)
	s.Namespace = name
	t.Cleanup(func() {
		// Policies first: whoever looks at a failed test should not have to
		// tell its objects from what the next test does.
		_, _ = l.kubectl(Fed, name, "", "delete", "namespace", name, "--wait=false")
	})
	return s
}

// Type runs a command line as a person in the lab's directory types it, kubectl
// being the repository's.
func (s *Session) Type(line string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(Binary("kubectl"))+":"+os.Getenv("PATH"), "KUBECONFIG=/nonexistent")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("$ %s\n%s%v", line, out, err)
	}
	return string(out)
}

// Run runs kubectl in a place, and fails the test if kubectl fails. It returns
// standard output.
func (s *Session) Run(where string, args ...string) string {
	s.Helper()
	out, err := s.Try(where, args...)
	if err != nil {
		s.Fatalf("%v", err)
	}
	return out
}

// Try is Run for commands that may fail. The error has what kubectl said.
func (s *Session) Try(where string, args ...string) (string, error) {
	return s.kubectl(where, s.Namespace, "", args...)
}

// Refused runs kubectl, which has to fail, and returns what it said.
func (s *Session) Refused(where string, args ...string) string {
	s.Helper()
	out, err := s.Try(where, args...)
	if err == nil {
		s.Fatalf("kubectl %s in %s was not refused:\n%s", strings.Join(args, " "), where, out)
	}
	return err.Error()
}

// Apply applies a manifest in a place.
func (s *Session) Apply(where, manifest string) string {
	s.Helper()
	out, err := s.TryApply(where, manifest)
	if err != nil {
		s.Fatalf("%v\n%s", err, manifest)
	}
	return out
}

// ApplyRefused applies a manifest, which has to fail, and returns what kubectl said.
func (s *Session) ApplyRefused(where, manifest string) string {
	s.Helper()
	out, err := s.TryApply(where, manifest)
	if err == nil {
		s.Fatalf("was not refused: %s\n%s", out, manifest)
	}
	return err.Error()
}

// TryApply returns both what kubectl printed and the warnings.
func (s *Session) TryApply(where, manifest string) (string, error) {
	return s.kubectl(where, s.Namespace, manifest, "apply", "-f", "-")
}

// kubectl runs bin/kubectl. Warnings are in the output only when something was
// applied; else they would be mixed into what is compared.
func (l *Lab) kubectl(where, namespace, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	all := []string{"--kubeconfig=" + l.Kubeconfig(where)}
	if strings.Contains(where, "/") {
		all[0] = "--kubeconfig=" + where
	}
	if namespace != "" {
		all = append(all, "--namespace="+namespace)
	}
	cmd := exec.CommandContext(ctx, Binary("kubectl"), append(all, args...)...)
	cmd.Dir = l.Dir
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s in %s: %w\n%s%s", strings.Join(args, " "), where, err, stdout.String(), stderr.String())
	}
	if stdin != "" {
		return stdout.String() + stderr.String(), nil
	}
	return stdout.String(), nil
}
