package meshlink

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/meshlink/link"
	"github.com/flotilla-io/flotilla/pkg/meshlink/plan"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
	"github.com/flotilla-io/flotilla/pkg/meshlink/trust"
)

func secretOf(data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "mesh-reader-mesh1"}, Data: data}
}

func tokenOf(t *testing.T, bearer string) *remotesecret.Token {
	root, err := trust.NewRoot(trust.Mesh{Name: "api", TrustDomain: "example.org"}, 1, noon, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &remotesecret.Token{Bearer: bearer, CA: trust.Bundle(root.Certificate), Server: "https://eu:6443", Expires: noon.Add(time.Hour)}
}

func TestTokenIsReadWhenItIsNew(t *testing.T) {
	first, second := tokenOf(t, "first"), tokenOf(t, "second")
	var stored *corev1.Secret
	reads := 0
	var broken error
	in := &inputs{Clock: testclock.NewFakePassiveClock(noon), Secret: func(_ context.Context, namespace, name string) (*corev1.Secret, error) {
		reads++
		if namespace != "karmada-es-eu" || name != "mesh-reader-mesh1" {
			t.Errorf("reads %s/%s", namespace, name)
		}
		return stored, broken
	}}
	member := &meshv1alpha1.MeshMember{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "mesh1"}}
	look := func(hash string, generation int64) plan.Token {
		member.Status = meshv1alpha1.MeshMemberStatus{ObservedGeneration: generation, Token: &meshv1alpha1.MemberToken{Hash: hash}}
		token, err := in.token(t.Context(), member)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	if got := look(first.Hash(), 1); got.Token != nil || !strings.Contains(got.Problem, "is not there") {
		t.Errorf("without a Secret: %q", got.Problem)
	}
	stored = secretOf(map[string][]byte{"token": []byte("x")})
	if got := look(first.Hash(), 1); got.Token != nil || !strings.Contains(got.Problem, "ca.crt") || strings.Contains(got.Problem, "\"x\"") {
		t.Errorf("with one that cannot be used: %q", got.Problem)
	}
	stored = secretOf(second.Data())
	if got := look(first.Hash(), 1); got.Token != nil || !strings.Contains(got.Problem, "another token") {
		t.Errorf("with another token: %q", got.Problem)
	}
	stored = secretOf(first.Data())
	if got := look(first.Hash(), 1); got.Token == nil || got.Bearer != "first" {
		t.Errorf("with the token: %q", got.Problem)
	}
	before := reads
	look(first.Hash(), 1)
	if reads != before {
		t.Error("a token that is known is read again")
	}
	look(first.Hash(), 2)
	if reads != before+1 {
		t.Error("after a change of the MeshMember the same token may come with another URL")
	}
	stored = secretOf(second.Data())
	if got := look(second.Hash(), 2); got.Token == nil || got.Bearer != "second" {
		t.Errorf("the next token: %q", got.Problem)
	}
	before = reads
	in.Forget("mesh2")
	look(second.Hash(), 2)
	in.Forget("mesh1")
	look(second.Hash(), 2)
	if reads != before+1 {
		t.Errorf("%d reads after it was forgotten", reads-before)
	}
	in.Forget("mesh1")
	broken = errors.New("down")
	if _, err := in.token(t.Context(), member); !errors.Is(err, broken) {
		t.Errorf("an API server that is down: %v", err)
	}
}

func bindingOf(namespace, apiVersion, kind string, clusters map[string]int32) *workv1alpha2.ResourceBinding {
	b := &workv1alpha2.ResourceBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}}
	b.Spec.Resource.APIVersion, b.Spec.Resource.Kind = apiVersion, kind
	for _, name := range []string{"ap", "eu", "us"} {
		if replicas, ok := clusters[name]; ok {
			b.Spec.Clusters = append(b.Spec.Clusters, workv1alpha2.TargetCluster{Name: name, Replicas: replicas})
		}
	}
	return b
}

func TestPlaced(t *testing.T) {
	got := placed([]*workv1alpha2.ResourceBinding{
		bindingOf("shop", "apps/v1", "Deployment", map[string]int32{"ap": 2, "eu": 0}),
		bindingOf("shop", "v1", "Service", map[string]int32{"eu": 0}),
		bindingOf("shop", "apps/v1", "DaemonSet", map[string]int32{"us": 0}),
		bindingOf("blog", "example.org/v1", "Thing", map[string]int32{"eu": 1}),
	})
	want := []link.Placed{{Namespace: "blog", Clusters: []string{"eu"}}, {Namespace: "shop", Clusters: []string{"ap", "us"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPicture(t *testing.T) {
	var order, secrets []string
	note := func(what string) { order = append(order, what) }
	token := tokenOf(t, "first")
	in := &inputs{
		Clock:    testclock.NewFakePassiveClock(noon),
		Meshes:   func(context.Context) ([]*meshv1alpha1.Mesh, error) { note("meshes"); return nil, nil },
		Clusters: func(context.Context) ([]*clusterv1alpha1.Cluster, error) { note("clusters"); return nil, nil },
		Members: func(context.Context) ([]*meshv1alpha1.MeshMember, error) {
			note("members")
			status := meshv1alpha1.MeshMemberStatus{Token: &meshv1alpha1.MemberToken{Hash: token.Hash()}}
			return []*meshv1alpha1.MeshMember{
				{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-eu", Name: "mesh1"}, Status: status},
				{ObjectMeta: metav1.ObjectMeta{Namespace: "karmada-es-ap", Name: "mesh2"}, Status: status},
			}, nil
		},
		Bindings: func(context.Context) ([]*workv1alpha2.ResourceBinding, error) { note("bindings"); return nil, nil },
		Works: func(_ context.Context, mesh string) ([]*workv1alpha1.Work, error) {
			note("works of " + mesh)
			return nil, nil
		},
		Secret: func(_ context.Context, namespace, name string) (*corev1.Secret, error) {
			secrets = append(secrets, namespace+"/"+name)
			if namespace == "karmada-es-eu" {
				return secretOf(token.Data()), nil
			}
			return nil, nil
		},
	}
	mesh := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: "mesh1"}}
	picture, err := in.Picture(t.Context(), mesh)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"works of mesh1", "members", "meshes", "clusters"}; !reflect.DeepEqual(order, want) {
		t.Errorf("reads %v, and not %v", order, want)
	}
	if want := []string{"karmada-system/mesh-trust-mesh1", "karmada-es-eu/mesh-reader-mesh1"}; !reflect.DeepEqual(secrets, want) {
		t.Errorf("reads %v, and not %v", secrets, want)
	}
	if len(picture.Tokens) != 1 || picture.Tokens["eu"].Token == nil {
		t.Error("the token of eu is missing, or there is that of another mesh")
	}
	if !picture.Began.Equal(noon) {
		t.Errorf("began at %s", picture.Began)
	}
	in.Clock = testclock.NewFakePassiveClock(noon.Add(time.Minute))
	order, secrets = nil, nil
	mesh.Spec.Links = meshv1alpha1.LinksPlacement
	mesh.Spec.Trust = meshv1alpha1.MeshTrust{Mode: meshv1alpha1.TrustExternal, SecretRef: &clusterv1alpha1.LocalSecretReference{Namespace: "a", Name: "b"}}
	if picture, err = in.Picture(t.Context(), mesh); err != nil {
		t.Fatal(err)
	}
	if !picture.Began.Equal(noon) {
		t.Errorf("began at %s, though it looked at noon", picture.Began)
	}
	if want := []string{"karmada-system/mesh-trust-mesh1", "a/b"}; !reflect.DeepEqual(secrets, want) || order[len(order)-1] != "bindings" {
		t.Errorf("reads %v and %v", order, secrets)
	}
}
