package tutorial

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

// typed is a command in a document, and what the document says that it prints.
type typed struct {
	line   int
	what   string
	prints string
}

// commands are what a reader of a document types: the lines that begin with a
// prompt in its console blocks.
func commands(t *testing.T, file string) []typed {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(lab.Repository(), file))
	require.NoError(t, err)
	var found []typed
	inside := false
	for i, line := range strings.Split(string(data), "\n") {
		what, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
			found = append(found, typed{}) // what follows belongs to no command before
		case inside && isCommand:
			found = append(found, typed{line: i + 1, what: what})
		case inside && len(found) > 0:
			found[len(found)-1].prints += line + "\n"
		}
	}
	found = slices.DeleteFunc(found, func(c typed) bool { return c.what == "" })
	require.NotEmpty(t, found, file)
	return found
}

// varies are parts of outputs that differ from run to run, and what they are
// compared as. Which of three clusters gets the tenth replica is among them.
var varies = []struct {
	pattern *regexp.Regexp
	as      string
}{
	{regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} \+0000`), "DATE"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`), "UID"},
	{regexp.MustCompile(`\b10\.\d+\.\d+\.\d+\b`), "IP"},
	{regexp.MustCompile(`\b(hello-[0-9a-f]+)-[a-z0-9]{5}\b`), "$1-POD"},
	{regexp.MustCompile(`\b(\d+m)?\d+s\b`), "AGE"},
	{regexp.MustCompile(`\b[34]/[34] +[34] +[34]\b`), "3-or-4"},
}

// unvarying is an output without what varies, in an order that does not.
func unvarying(output string) string {
	for _, v := range varies {
		output = v.pattern.ReplaceAllString(output, v.as)
	}
	var lines []string
	for line := range strings.Lines(output) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// follow types a document's commands and compares what they print. Those that
// only look are repeated, as a reader who is quicker than the machine does.
func follow(s *lab.Session, file string, list []typed) {
	for i, c := range list {
		at := fmt.Sprintf("%s:%d: $ %s", file, c.line, c.what)
		verb := strings.Fields(c.what + " - -")[2]
		switch {
		case c.what == "make playground":
			if i > 0 {
				require.NoError(s, s.Stop(), at)
				require.NoError(s, s.Start(), at)
			}
		case !strings.HasPrefix(c.what, "kubectl --kubeconfig=.flotilla/"):
			s.Fatalf("%s: this test cannot type that", at)
		case verb == "apply" || verb == "scale" || verb == "delete":
			out := s.Type(c.what)
			if strings.TrimSpace(c.prints) != "" {
				require.Equal(s, unvarying(c.prints), unvarying(out), at)
			}
		case verb == "rollout":
			require.Contains(s, s.Type(c.what), "successfully rolled out", at)
		default:
			want := unvarying(c.prints)
			s.Eventually(at+" prints\n"+want, func() (string, bool) {
				out := unvarying(s.Type(c.what))
				return out, out == want
			})
		}
	}
}

// installs tells commands that want clusters with real nodes: test/charts renders
// and types those.
func installs(c typed) bool {
	for _, prefix := range []string{"make build images", "helm install ", "kubectl --namespace flotilla-system ", "bin/fedctl "} {
		if strings.HasPrefix(c.what, prefix) {
			return true
		}
	}
	return false
}

func TestDocumentsTellWhatHappens(t *testing.T) {
	s := begin(t)
	follow(s, "README.md", slices.DeleteFunc(commands(t, "README.md"), installs))
	s.Type(fed + "delete propagationpolicy/hello deployment/hello service/hello")
	for _, m := range members {
		s.Gone(m, "deployments,services,pods", "--selector=app=hello")
	}
	follow(s, "docs/tutorial.md", commands(t, "docs/tutorial.md"))
}
