package sbom

import (
	"encoding/json"
	"regexp"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocument(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "github.com/flotilla-io/flotilla", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/a_b", Version: "v1.0.0+incompatible", Sum: "h1:abc="},
			{Path: "example.com/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/new", Version: "v2.0.0", Sum: "h1:def="}},
		},
	}
	content, err := Encode("agent", "v0.1.0", []byte("binary"), info, time.Unix(0, 0))
	require.NoError(t, err)
	again, err := Encode("agent", "v0.1.0", []byte("binary"), info, time.Unix(0, 0))
	require.NoError(t, err)
	assert.Equal(t, content, again)

	var got Document
	require.NoError(t, json.Unmarshal(content, &got))
	assert.Equal(t, "SPDX-2.3", got.SPDXVersion)
	assert.Equal(t, "1970-01-01T00:00:00Z", got.CreationInfo.Created)
	assert.Regexp(t, "^https://github.com/flotilla-io/flotilla/spdx/agent/[0-9a-f]{64}$", got.DocumentNamespace)
	var locators, names []string
	wellFormed := regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`)
	ids := map[string]bool{}
	for _, p := range got.Packages {
		assert.Regexp(t, wellFormed, p.SPDXID)
		assert.False(t, ids[p.SPDXID], "%s is there twice", p.SPDXID)
		ids[p.SPDXID] = true
		names = append(names, p.Name)
		locators = append(locators, p.ExternalRefs[0].ReferenceLocator)
	}
	assert.Equal(t, []string{"github.com/flotilla-io/flotilla/agent", "stdlib", "example.com/a_b", "example.com/new"}, names, "what is replaced is not linked")
	assert.Equal(t, []string{
		"pkg:golang/github.com/flotilla-io/flotilla@v0.1.0",
		"pkg:golang/stdlib@1.26.8",
		"pkg:golang/example.com/a_b@v1.0.0%2Bincompatible",
		"pkg:golang/example.com/new@v2.0.0",
	}, locators)
	assert.Equal(t, "go.sum: h1:def=", got.Packages[3].SourceInfo)
	require.Len(t, got.Relationships, 4)
	assert.Equal(t, Relationship{"SPDXRef-DOCUMENT", "DESCRIBES", got.Packages[0].SPDXID}, got.Relationships[0])
	for _, r := range got.Relationships[1:] {
		assert.Equal(t, "DEPENDS_ON", r.RelationshipType)
		assert.True(t, ids[r.RelatedSPDXElement], r.RelatedSPDXElement)
	}
}
