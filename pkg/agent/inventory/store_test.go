package inventory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := Open(dir)
	require.NoError(t, err)
	long := strings.Repeat("x", 253)
	names := []string{"hello-1", long, "../escape", ".hidden"}
	for _, name := range names {
		r := record(name, "a")
		r.Objects[0].Hash, r.Objects[0].UID = "h", "u"
		require.NoError(t, s.Put(r))
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	files, err := os.ReadDir(filepath.Join(dir, worksDir))
	require.NoError(t, err)
	require.Len(t, files, len(names), "every work has a file, and it lies here")
	for _, file := range files {
		info, err := file.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "manifests may be Secrets")
	}

	s, err = Open(dir)
	require.NoError(t, err)
	records, broken := s.Load()
	require.Empty(t, broken)
	var found []string
	for _, r := range records {
		found = append(found, r.Name)
		require.Equal(t, "h", r.Objects[0].Hash)
		require.JSONEq(t, `"a"`, string(r.Manifests[0]))
	}
	require.ElementsMatch(t, names, found)
	for _, name := range names {
		require.NoError(t, s.Delete(name))
		require.NoError(t, s.Delete(name), "deleting twice is fine")
	}
	records, _ = s.Load()
	require.Empty(t, records)
}

func TestStoreSurvivesWreckage(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	require.NoError(t, err)
	require.NoError(t, s.Put(record("good", "a")))
	for name, content := range map[string]string{
		"cut.json": `{"work":"cut","manif`, "empty.json": ``, "nameless.json": `{}`, scratchPrefix + "1": `{`, "README": "x",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, worksDir, name), []byte(content), 0o600))
	}
	records, broken := s.Load()
	require.Len(t, records, 1)
	require.Len(t, broken, 3)
	for _, err := range broken {
		require.ErrorContains(t, err, dir)
	}
	require.NoFileExists(t, filepath.Join(dir, worksDir, scratchPrefix+"1"), "scratch of a killed agent is swept up")
}

func TestFederation(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	require.NoError(t, err)
	uid, err := s.Federation()
	require.NoError(t, err)
	require.Empty(t, uid)
	require.NoError(t, s.SetFederation("u"))
	uid, err = s.Federation()
	require.NoError(t, err)
	require.EqualValues(t, "u", uid)
	require.NoError(t, os.WriteFile(filepath.Join(dir, federationFile), []byte("{"), 0o600))
	_, err = s.Federation()
	require.ErrorContains(t, err, federationFile, "a damaged file is no reason to accept anyone")
}

func TestNoDirectory(t *testing.T) {
	s, err := Open("")
	require.NoError(t, err)
	require.NoError(t, s.Put(record("w", "a")))
	require.NoError(t, s.SetFederation("u"))
	require.NoError(t, s.Delete("w"))
	records, broken := s.Load()
	require.Empty(t, records)
	require.Empty(t, broken)
}

func TestStoreThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := Open(dir)
	require.NoError(t, err)
	require.NoError(t, s.Trouble())
	require.NoError(t, os.RemoveAll(dir))

	require.NoError(t, s.SetFederation("f"), "a full disk stops nothing")
	require.Error(t, s.Put(record("w", "a")), "records are tried again by who has them")
	known, err := s.Federation()
	require.NoError(t, err)
	require.EqualValues(t, "f", known, "it counts meanwhile")
	require.Error(t, s.Trouble())

	require.NoError(t, os.MkdirAll(filepath.Join(dir, worksDir), 0o700))
	require.NoError(t, s.Trouble())
	again, err := Open(dir)
	require.NoError(t, err)
	known, err = again.Federation()
	require.NoError(t, err)
	require.EqualValues(t, "f", known, "and is written when it can be")
}

func TestFormerFederations(t *testing.T) {
	s, err := Open(t.TempDir())
	require.NoError(t, err)
	for _, uid := range []types.UID{"a", "a", "b", "c", "b"} {
		require.NoError(t, s.SetFederation(uid))
	}
	former, err := s.FormerFederations()
	require.NoError(t, err)
	require.Equal(t, []types.UID{"a", "c"}, former)
}

func TestHoldNonce(t *testing.T) {
	s, err := Open(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, s.SetHold("n"))
	nonce, err := s.Hold()
	require.NoError(t, err)
	require.Equal(t, "n", nonce)
	for range 2 {
		require.NoError(t, s.SetHold(""))
		nonce, err = s.Hold()
		require.NoError(t, err)
		require.Empty(t, nonce)
	}
}
