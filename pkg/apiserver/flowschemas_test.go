package apiserver

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
)

// What is in the way is said at once, and again after a while, not with each attempt.
func TestFlowSchemasThatCannotBeCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		var attempts atomic.Int32
		client.PrependReactor("create", "flowschemas", func(clienttesting.Action) (bool, runtime.Object, error) {
			if attempts.Add(1) <= complaints+1 {
				return true, nil, errors.New("no storage")
			}
			return false, nil, nil
		})
		var said []string
		logger := funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})
		ensureFlowSchemas(klog.NewContext(t.Context(), logger), client)
		require.Len(t, said, 2)
		for _, line := range said {
			assert.True(t, strings.Contains(line, "no storage") && strings.Contains(line, "flotilla-controllers"), line)
		}
		made, err := client.FlowcontrolV1().FlowSchemas().List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		assert.Len(t, made.Items, len(flowSchemas()))
	})
}
