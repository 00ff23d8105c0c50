package apiserver

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/kubernetes"
)

func auditEvents(t *testing.T, path string) (events []auditv1.Event) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event auditv1.Event
		require.NoError(t, json.Unmarshal(lines.Bytes(), &event))
		events = append(events, event)
	}
	require.NoError(t, lines.Err())
	return events
}

func TestAudit(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePort(t)
	log := filepath.Join(dir, "audit", "audit.log")
	server := serve(t, dir, port, "--audit-log-path="+log)
	kube, err := kubernetes.NewForConfig(server.admin)
	require.NoError(t, err)
	_, err = kube.CoreV1().Secrets("default").Create(t.Context(), secretIn("default", "s"), metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = kube.CoreV1().Secrets("default").Get(t.Context(), "s", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = kube.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	_, err = kube.CoreV1().Events("default").Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e"}, InvolvedObject: corev1.ObjectReference{Namespace: "default"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	server.stop(t, syscall.SIGTERM)

	assert.NotContains(t, mustRead(t, log), plainText, "what is in a Secret")
	assert.NotContains(t, mustRead(t, log), "YXR0YWNrIGF0IGRhd24", "in base64, either")
	var created, read bool
	for _, event := range auditEvents(t, log) {
		assert.Equal(t, auditv1.LevelMetadata, event.Level)
		assert.Nil(t, event.RequestObject)
		assert.Nil(t, event.ResponseObject)
		require.NotNil(t, event.ObjectRef, "paths are not logged: %s", event.RequestURI)
		assert.NotContains(t, []string{"events", "leases"}, event.ObjectRef.Resource)
		if event.User.Username == "system:apiserver" {
			assert.NotContains(t, []string{"get", "list", "watch"}, event.Verb, event.RequestURI)
		}
		mine := event.User.Username == "flotilla-admin" && event.ObjectRef.Name == "s"
		created = created || mine && event.Verb == "create" && event.ResponseStatus.Code == 201
		read = read || mine && event.Verb == "get"
		assert.False(t, event.User.Username == "flotilla-admin" && event.ObjectRef.Resource == "configmaps", "other reads are not logged")
	}
	assert.True(t, created, "who writes")
	assert.True(t, read, "and who reads Secrets")
	assert.Contains(t, mustRead(t, filepath.Join(dir, "data", "audit-policy.yaml")), "kind: Policy", "the policy can be read")

	own := filepath.Join(dir, "own.yaml")
	require.NoError(t, os.WriteFile(own, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, users: [system:apiserver]}, {level: RequestResponse, verbs: [list]}]\n"), 0o600))
	server = serve(t, dir, port, "--audit-log-path=-", "--audit-policy-file="+own)
	_, err = kube.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	server.stop(t, syscall.SIGTERM)
	assert.Contains(t, server.output.String(), `"level":"RequestResponse"`, "a policy of one's own, on standard output")

	flags := []string{"--data-dir=" + dir + "/data", "--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port)}
	assert.Contains(t, spawn(t, append(flags, "--audit-policy-file="+own)...).failed(t), "--audit-log-path")
	assert.Contains(t, spawn(t, append(flags, "--audit-log-path=-", "--audit-policy-file=/no/such/file")...).failed(t), "/no/such/file")
}
