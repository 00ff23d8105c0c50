package restore

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

var shared *lab.Lab

func TestMain(m *testing.M) {
	os.Exit(lab.Main(m, func(l *lab.Lab) { shared = l }, "--members=eu"))
}

const uids = `--output=jsonpath={range .items[*]}{.metadata.name}={.metadata.uid}{"\n"}{end}`

func TestAnOldBackupDeletesNothingUnasked(t *testing.T) {
	const old, late = 3, 9
	s := shared.NewNamespace(t, "restored")
	create := func(from, to int) {
		var manifests strings.Builder
		for i := from; i < to; i++ {
			manifests.WriteString(lab.ConfigMap(fmt.Sprintf("conf-%d", i), "v", "1"))
		}
		s.Apply(lab.Fed, manifests.String())
		s.Eventually(fmt.Sprintf("%d ConfigMaps are in eu", to), func() (string, bool) {
			out := s.Run("eu", "get", "configmaps", "--selector=app", "--output=name")
			return out, strings.Count(out, "\n") == to
		})
	}
	s.Apply(lab.Fed, lab.Policy{Name: "any", Selectors: []string{lab.AllConfigMaps}, Clusters: []string{"eu"}}.String())
	create(0, old)

	require.NoError(t, s.Stop())
	backup := t.TempDir()
	require.NoError(t, os.CopyFS(backup, os.DirFS(s.Path("federation"))))
	require.NoError(t, s.Start())
	create(old, old+late)
	before := s.Run("eu", "get", "configmaps", "--selector=app", uids)

	require.NoError(t, s.Kill())
	require.NoError(t, os.RemoveAll(s.Path("federation")))
	require.NoError(t, os.CopyFS(s.Path("federation"), os.DirFS(backup)))
	require.NoError(t, s.Start())

	held := []string{"get", "cluster", "eu", `--output=jsonpath={.status.conditions[?(@.type=="DeletionsHeld")].message}`}
	s.Mentions(lab.Fed, []string{fmt.Sprintf("%d objects", late), "Nothing was deleted", "kubectl annotate cluster eu"}, held...)
	require.Equal(t, before, s.Run("eu", "get", "configmaps", "--selector=app", uids))

	// What the federation still knows goes on as ever, and what is asked for is done.
	s.Apply(lab.Fed, lab.ConfigMap("conf-0", "v", "2"))
	s.Shows("eu", "2", "get", "configmap", "conf-0", "--output=jsonpath={.data.v}")
	s.Run(lab.Fed, "delete", "configmap", "conf-1")
	s.Gone("eu", "configmap", "conf-1")
	// One that is made again takes up what is there.
	s.Apply(lab.Fed, lab.ConfigMap(fmt.Sprintf("conf-%d", old), "v", "3"))
	s.Shows("eu", "3", "get", "configmap", fmt.Sprintf("conf-%d", old), "--output=jsonpath={.data.v}")
	s.Mentions(lab.Fed, []string{fmt.Sprintf("%d objects", late-1)}, held...)
	after := s.Run("eu", "get", "configmaps", "--selector=app", uids)
	for line := range strings.Lines(before) {
		if !strings.HasPrefix(line, "conf-1=") {
			require.Contains(t, after, line)
		}
	}

	// The way out is the command that the condition gives, as it stands.
	command := regexp.MustCompile(`kubectl (annotate cluster eu .*)$`).FindStringSubmatch(strings.TrimSpace(s.Run(lab.Fed, held...)))
	require.NotNil(t, command)
	shared.Session(t).Run(lab.Fed, strings.Fields(command[1])...)
	s.Eventually("what the federation does not know is gone", func() (string, bool) {
		out := s.Run("eu", "get", "configmaps", "--selector=app", "--output=name")
		return out, strings.Count(out, "\n") == old
	})
	s.Shows(lab.Fed, "", held...)
}
