package clusterrestriction

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// onlyMine lets jane get the Secret "mine", and nothing else.
var onlyMine = authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == "jane" && a.GetVerb() == "get" && a.GetResource() == "secrets" && a.GetAPIGroup() == "" &&
		a.IsResourceRequest() && a.GetNamespace() == "karmada-cluster" && a.GetName() == "mine" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "no rule", errors.New("RBAC")
})

func TestWhoMaySendASecret(t *testing.T) {
	type spec = clusterv1alpha1.ClusterSpec
	ref := func(name string) *clusterv1alpha1.LocalSecretReference {
		return &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: name}
	}
	joined := spec{APIEndpoint: "https://eu:6443", SecretRef: ref("theirs"), ImpersonatorSecretRef: ref("theirs-too")}
	with := func(change func(*spec)) *spec {
		s := joined
		change(&s)
		return &s
	}
	tests := map[string]struct {
		reason   string
		was, now *spec
		sub      string
		says     string // empty: allowed
	}{
		"joins with a Secret of hers":   {reason: "she may read it", now: &spec{SecretRef: ref("mine"), ImpersonatorSecretRef: ref("mine")}},
		"joins with another's":          {reason: "it would be sent to her", now: &spec{SecretRef: ref("theirs")}, says: "spec.secretRef"},
		"joins with another's for all":  {reason: "it would be sent to her", now: &spec{SecretRef: ref("mine"), ImpersonatorSecretRef: ref("theirs")}, says: "spec.impersonatorSecretRef"},
		"a Secret of another namespace": {reason: "names are compared with their namespace", now: &spec{SecretRef: &clusterv1alpha1.LocalSecretReference{Namespace: "kube-system", Name: "mine"}}, says: "kube-system/mine"},
		"joins without":                 {reason: "nothing is sent", now: &spec{APIEndpoint: "https://eu:6443"}},
		"moves the endpoint":            {reason: "both would be sent there", was: &joined, now: with(func(s *spec) { s.APIEndpoint = "https://mine" }), says: "spec.secretRef"},
		"puts a proxy between":          {reason: "it would see them", was: &joined, now: with(func(s *spec) { s.InsecureSkipTLSVerification = true }), says: "spec.secretRef"},
		"another proxy":                 {reason: "it would see them", was: &joined, now: with(func(s *spec) { s.ProxyURL = "http://mine" }), says: "spec.secretRef"},
		"names another Secret":          {reason: "it would be sent", was: &joined, now: with(func(s *spec) { s.SecretRef = ref("other") }), says: "karmada-cluster/other"},
		"names another one for all":     {reason: "it would be sent", was: &joined, now: with(func(s *spec) { s.ImpersonatorSecretRef = ref("other") }), says: "spec.impersonatorSecretRef"},
		"names her own":                 {reason: "the other one stays where it goes", was: &joined, now: with(func(s *spec) { s.SecretRef = ref("mine") })},
		"takes both away":               {reason: "nothing is sent any more", was: &joined, now: with(func(s *spec) { s.APIEndpoint, s.SecretRef, s.ImpersonatorSecretRef = "https://mine", nil, nil })},
		"taints":                        {reason: "nothing goes elsewhere", was: &joined, now: with(func(s *spec) { s.Region = "eu" })},
		"writes the status":             {reason: "the spec is not taken from it", was: &joined, now: with(func(s *spec) { s.APIEndpoint = "https://mine" }), sub: "status"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &plugin{Handler: admission.NewHandler(admission.Create, admission.Update)}
			require.Error(t, p.ValidateInitialization(), "it asks nobody")
			p.SetAuthorizer(onlyMine)
			require.NoError(t, p.ValidateInitialization())
			operation, old := admission.Create, runtime.Object(nil)
			if tt.was != nil {
				operation, old = admission.Update, &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}, Spec: *tt.was}
			}
			obj := &clusterv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "eu"}, Spec: *tt.now}
			resource := schema.GroupVersionResource{Group: "cluster.karmada.io", Version: "v1alpha1", Resource: "clusters"}
			a := admission.NewAttributesRecord(obj, old, schema.GroupVersionKind{}, "", "eu", resource, tt.sub, operation, nil, false, &user.DefaultInfo{Name: "jane", Groups: []string{"fleet"}})
			err := p.Validate(t.Context(), a, nil)
			if tt.says == "" {
				require.NoError(t, err, tt.reason)
				return
			}
			require.True(t, apierrors.IsForbidden(err), "%s: %v", tt.reason, err)
			require.ErrorContains(t, err, tt.says)
			assert.ErrorContains(t, err, "jane")
		})
	}
}

func TestWhoMaySignWithASecret(t *testing.T) {
	mesh := func(secret string) *meshv1alpha1.Mesh {
		m := &meshv1alpha1.Mesh{ObjectMeta: metav1.ObjectMeta{Name: "mesh1"}}
		if secret != "" {
			m.Spec.Trust.Mode = meshv1alpha1.TrustExternal
			m.Spec.Trust.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: secret}
		}
		return m
	}
	labelled := mesh("theirs")
	labelled.Labels = map[string]string{"a": "b"}
	tests := map[string]struct {
		reason   string
		now, was *meshv1alpha1.Mesh
		sub      string
		want     bool
	}{
		"managed":              {reason: "no Secret is named", now: mesh(""), want: true},
		"her own":              {reason: "she may read it", now: mesh("mine"), want: true},
		"another's":            {reason: "its keys go to clusters", now: mesh("theirs")},
		"another's from now":   {reason: "as above", now: mesh("theirs"), was: mesh("mine")},
		"external from now":    {reason: "as above", now: mesh("theirs"), was: mesh("")},
		"as it was":            {reason: "somebody who may has named it", now: labelled, was: mesh("theirs"), want: true},
		"no longer":            {reason: "nothing is used any more", now: mesh(""), was: mesh("theirs"), want: true},
		"writes of the status": {reason: "the spec is not taken from it", now: mesh("theirs"), was: mesh(""), sub: "status", want: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &plugin{Handler: admission.NewHandler(admission.Create, admission.Update)}
			p.SetAuthorizer(onlyMine)
			operation, old := admission.Create, runtime.Object(nil)
			if tt.was != nil {
				operation, old = admission.Update, tt.was
			}
			resource := schema.GroupVersionResource{Group: "mesh.flotilla.io", Version: "v1alpha1", Resource: "meshes"}
			a := admission.NewAttributesRecord(tt.now, old, schema.GroupVersionKind{}, "", "mesh1", resource, tt.sub, operation, nil, false, &user.DefaultInfo{Name: "jane", Groups: []string{"fleet"}})
			err := p.Validate(t.Context(), a, nil)
			if tt.want {
				require.NoError(t, err, tt.reason)
				return
			}
			require.True(t, apierrors.IsForbidden(err), "%s: %v", tt.reason, err)
			assert.ErrorContains(t, err, "spec.trust.secretRef: user \"jane\" may not get Secret karmada-cluster/theirs")
		})
	}
}
