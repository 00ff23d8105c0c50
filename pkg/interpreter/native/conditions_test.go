package native

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMergedMessagesStayShort(t *testing.T) {
	var voices []voice
	for i := range 300 {
		voices = append(voices, voice{cluster: fmt.Sprintf("c%03d", i), conditions: []condition{
			{Type: "Available", Status: conditionFalse, Message: strings.Repeat("é", 40000)},
		}})
	}
	merged := mergeConditions(deploymentConditions, voices)
	require.Len(t, merged, 1)
	message := merged[0].Message
	require.Less(t, len(message), 32768, "the API refuses more")
	require.True(t, strings.HasPrefix(message, "300 of 300 clusters: c000: é"), message)
	require.True(t, strings.HasSuffix(message, "; and 295 more"), message)
	require.Equal(t, message, strings.ToValidUTF8(message, "?"), "characters are not cut in two")
}
