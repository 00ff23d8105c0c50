package mesh

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// An agent that may not list services has looked at none, which proves nothing.
func TestServicesThatCannotBeRead(t *testing.T) {
	object := &meshv1alpha1.MeshMember{Spec: meshv1alpha1.MeshMemberSpec{Network: "network-eu", Peers: []meshv1alpha1.MemberPeer{{Name: "ap", Network: "network-ap"}}}}
	forbidden := errors.New("services is forbidden")
	cases := map[string]struct {
		reason string
		walk   walk
		passed bool
		says   string
	}{
		"None":        {reason: "A new mesh has no workloads.", passed: true, says: "NoService"},
		"Unread":      {reason: "There may be some with pods of the peer.", walk: walk{unread: forbidden}, says: "NotAsked"},
		"ReadBefore":  {reason: "Those that were read before are looked at.", walk: walk{unread: forbidden, page: []port{{host: "hello.default.svc.cluster.local", port: 80}}}, passed: true, says: "NoService"},
		"ReadableNow": {reason: "It may have been an API server that was away.", walk: walk{page: []port{{host: "hello.default.svc.cluster.local", port: 80}}}, passed: true, says: "NoService"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			found := tc.walk.take(object, []heard{{}})
			verdict := found.verdict("ap")
			require.NotNil(t, verdict)
			assert.Equal(t, tc.passed, verdict.Passed, tc.reason)
			assert.Equal(t, tc.says, verdict.Reason, tc.reason)
			if !tc.passed {
				assert.Contains(t, verdict.Message, "list services", "the way out is named")
			}
		})
	}
}
