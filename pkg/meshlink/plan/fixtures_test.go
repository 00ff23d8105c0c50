package plan_test

import (
	"encoding/json"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

// caOf is the CA that a Work brings.
func caOf(t tester, work *workv1alpha1.Work, now time.Time) (*trust.Intermediate, []trust.Fingerprint) {
	t.Helper()
	secret := &corev1.Secret{}
	if err := json.Unmarshal(work.Spec.Workload.Manifests[0].Raw, secret); err != nil {
		t.Fatal(err)
	}
	signer, err := trust.ParseCACerts(secret.Data, now)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := trust.FingerprintsOf(secret.Data[trust.RootCertKey])
	if err != nil {
		t.Fatal(err)
	}
	return signer, roots
}

// foreignData is the data of a Secret cacerts that somebody else made.
var foreignData = sync.OnceValue(func() map[string][]byte {
	of := trust.Mesh{Name: "theirs", TrustDomain: "cluster.local"}
	root, err := trust.NewRoot(of, 1, epoch, trust.RootLifetime)
	if err != nil {
		panic(err)
	}
	signer, err := trust.NewIntermediate(root, of, "theirs", epoch, trust.IntermediateLifetime)
	if err != nil {
		panic(err)
	}
	roots, err := trust.NewStore(root).Trusted()
	if err != nil {
		panic(err)
	}
	data, err := trust.CACerts(signer, roots, epoch)
	if err != nil {
		panic(err)
	}
	return data
})

// foreignCA is a Secret cacerts that somebody else made, as an object of a member.
func foreignCA() map[string]any {
	secret := &corev1.Secret{Data: foreignData()}
	secret.APIVersion, secret.Kind, secret.Namespace, secret.Name = "v1", "Secret", meshv1alpha1.IstioNamespace, trust.CACertsSecret
	text, err := json.Marshal(secret)
	if err != nil {
		panic(err)
	}
	content := map[string]any{}
	if err := json.Unmarshal(text, &content); err != nil {
		panic(err)
	}
	return content
}
