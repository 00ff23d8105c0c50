package registration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flotilla-io/flotilla/test/e2e/lab"
)

const workload = "--output=jsonpath={.metadata.uid}"

func TestAMemberJoinsLeavesAndComesBack(t *testing.T) {
	s := newSite(t, "eu", "tokyo")
	first := s.invite()
	s.register(first)
	s.ready()
	require.Equal(t, "Pull", strings.TrimSpace(s.Run(lab.Fed, "get", "cluster", "tokyo", "--output=jsonpath={.spec.syncMode}")))
	s.propagate("shop")
	uid := s.Run("eu", "get", "deployment", "web", workload)

	t.Log("The certificate outlives the token, and the agent's process.")
	s.fedctl("token", "delete", first.Token)
	s.present("")
	s.start()
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=2")
	s.Shows("eu", "2", "get", "deployment", "web", "--output=jsonpath={.spec.replicas}")
	crt, key := s.stored()
	old := s.with(crt, key)
	require.Contains(t, s.Run(old, "get", "cluster", "tokyo", "--output=name"), "tokyo")

	t.Log("Whoever is unregistered is nobody, with all that was issued to them.")
	out := s.fedctl("unregister", "tokyo")
	require.Contains(t, out, "Revoked")
	require.Contains(t, out, "Deleted Cluster tokyo")
	s.Eventually("the old certificate is refused", func() (string, bool) {
		out, err := s.Try(old, "get", "cluster", "tokyo")
		return out + errorText(err), err != nil && (strings.Contains(err.Error(), "nauthorized") || strings.Contains(err.Error(), "must be logged in"))
	})
	s.says("the certificate is refused", "fedctl token create --cluster tokyo")
	s.Gone(lab.Fed, "cluster", "tokyo")
	require.Equal(t, uid, s.Run("eu", "get", "deployment", "web", workload), "workloads stay")
	s.Run("eu", "delete", "deployment", "web")
	s.Mentions("eu", []string{"deployment.apps/web"}, "get", "deployment", "web", "--output=name", "--ignore-not-found")

	t.Log("A new token lets it in again at once, without a restart.")
	s.present(s.invite().Token)
	s.ready()
	require.Contains(t, s.Refused(old, "get", "cluster", "tokyo"), "nauthorized", "the old certificate does not come back with the cluster")
	s.Run(lab.Fed, "scale", "deployment/web", "--replicas=3")
	s.Shows("eu", "3", "get", "deployment", "web", "--output=jsonpath={.spec.replicas}")

	t.Log("What is deleted with a member is what the federation has brought.")
	s.Run("eu", "create", "configmap", "mine", "--from-literal=a=b")
	s.Run("eu", "label", "configmap", "mine", "karmada.io/managed=true")
	annotations := s.Run("eu", "get", "deployment", "web", "--output=jsonpath={.metadata.annotations}")
	require.Contains(t, annotations, "work.karmada.io/name")
	s.Apply("eu", strings.Replace(lab.Deployment("copy", 1), "  labels: {app: copy}", `  labels: {app: copy, karmada.io/managed: "true"}`+"\n  annotations: "+annotations, 1))
	require.Contains(t, s.fedctlRefuses("unjoin", "tokyo"), "fedctl unregister tokyo")
	require.Contains(t, s.fedctlRefuses("unregister", "tokyo", "--delete-workloads"), "--member-kubeconfig")
	require.Contains(t, s.fedctlRefuses("unregister", "tokyo", "--delete-workloads", "--member-kubeconfig="+s.Kubeconfig("ap")), "another member")
	require.Contains(t, s.fedctlRefuses("unregister", "tokyo", "--delete-workloads", "--member-kubeconfig="+s.Kubeconfig("eu")), "not confirmed")
	s.ready()
	s.stop() // as helm uninstall would, if pods ran
	out = s.fedctl("unregister", "tokyo", "--delete-workloads", "--yes", "--member-kubeconfig="+s.Kubeconfig("eu"))
	require.Contains(t, out, "namespace/shop stays: it holds")
	s.Gone("eu", "deployment", "web")
	require.Contains(t, s.Run("eu", "get", "configmap", "mine", "--output=name"), "mine")
	require.Contains(t, s.Run("eu", "get", "deployment", "copy", "--output=name"), "copy", "a copy with our labels is not ours")
	s.Namespace = ""
	require.Empty(t, strings.TrimSpace(s.Run("eu", "get", "deployments,secrets,serviceaccounts", "--namespace=flotilla-system", "--selector=app.kubernetes.io/part-of=flotilla", "--output=name")))
	require.Empty(t, s.Run("eu", "get", "secret", "flotilla-agent-identity", "--namespace=flotilla-system", "--ignore-not-found"))
	s.Run("eu", "delete", "namespace", "shop", "--wait=false")
	s.Gone("eu", "namespace", "shop")
}

func TestAShortCertificateIsRevokedToo(t *testing.T) {
	s := newSite(t, "ap", "short")
	i := s.invite()
	s.fedctl(s.registration(i, "--timeout=0")...)
	// The signer does not date these back, and they were issued a moment before the revocation.
	s.Run("ap", "patch", "deployment", "flotilla-agent", "--namespace=flotilla-system", "--type=json",
		`--patch=[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"--certificate-lifetime=1h"}]`)
	s.present(i.Token)
	s.start()
	s.ready()
	crt, key := s.stored()
	old := s.with(crt, key)
	s.Run(old, "get", "cluster", "short")
	s.fedctl("unregister", "short")
	require.Contains(t, s.Refused(old, "get", "cluster", "short"), "nauthorized")
}

func TestTheAgentHasTheRightsOfItsChart(t *testing.T) {
	s := newSite(t, "ap", "osaka")
	s.register(s.invite())
	s.ready()
	s.propagate("rights")
	s.Apply(lab.Fed, "apiVersion: v1\nkind: LimitRange\nmetadata: {name: limits}\nspec: {limits: [{type: Pod}]}\n")
	applied := []string{"get", "works", "--namespace=karmada-es-osaka", `--output=jsonpath={range .items[*]}{.metadata.name}: {.status.conditions[?(@.type=="Applied")].message}{"\n"}{end}`}
	admin := shared.Session(t)
	admin.Mentions(lab.Fed, []string{"LimitRange rights/limits: the agent may not", "limitranges in cluster osaka", `{apiGroups: [""], resources: [limitranges]}`, "agent.rbac.kinds"}, applied...)

	t.Log("It holds up nothing else.")
	s.Apply(lab.Fed, lab.ConfigMap("conf", "a", "b"))
	s.Shows("ap", "b", "get", "configmap", "conf", "--output=jsonpath={.data.a}")

	t.Log("The way out is the one that is said.")
	s.fedctl(s.registration(s.invite(), "--timeout=0", "--values="+s.file("values.yaml", `agent:
  rbac:
    kinds:
      - {apiGroups: [""], resources: [namespaces, configmaps, limitranges]}
      - {apiGroups: [apps], resources: [deployments]}
`))...)
	s.Shows("ap", "limitrange/limits", "get", "limitrange", "limits", "--output=name", "--ignore-not-found")
	s.Eventually("it is applied", func() (string, bool) {
		out := admin.Run(lab.Fed, applied...)
		return out, !strings.Contains(out, "may not")
	})
}
