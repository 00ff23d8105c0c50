package controlplane

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

func TestAStateDirectoryIsOfOneClusterObject(t *testing.T) {
	dir := t.TempDir()
	named := func(name, uid string) *clusterv1alpha1.Cluster {
		return &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)}}
	}
	first, err := stateOf(dir, named("eu", "1"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(first, "member.json"), []byte("{}"), 0o600))
	other, err := stateOf(dir, named("ap", "1"))
	require.NoError(t, err)
	assert.NotEqual(t, first, other)

	again, err := stateOf(dir, named("eu", "1"))
	require.NoError(t, err)
	assert.Equal(t, first, again, "the same cluster finds what it remembered")
	assert.FileExists(t, filepath.Join(first, "member.json"))

	next, err := stateOf(dir, named("eu", "2"))
	require.NoError(t, err)
	assert.NotEqual(t, first, next, "another member under the old name is not the former one")
	assert.NoDirExists(t, first, "whose Secrets do not stay")
	assert.DirExists(t, other)

	for _, uid := range []string{"", "..", "a/b"} {
		_, err := stateOf(dir, named("ap", uid))
		require.Error(t, err)
		assert.DirExists(t, other)
	}
	none, err := stateOf("", named("eu", "2"))
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestAStateDirectoryThatCannotBeWrittenStopsNoAgent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := stateOf(file, &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", UID: "1"}})
	require.Error(t, err)
}
