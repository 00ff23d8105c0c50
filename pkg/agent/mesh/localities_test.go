package mesh

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata/fake"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// Without localities nodes are not asked for what there is to write, which the agent may
// not do, and a cluster that leaves waits for nothing there.
func TestNodesAreLeftAlone(t *testing.T) {
	scheme := fake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	client := fake.NewSimpleMetadataClient(scheme, &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: "n"},
	})
	object := &meshv1alpha1.MeshMember{
		ObjectMeta: metav1.ObjectMeta{Name: "mesh1"},
		Spec:       meshv1alpha1.MeshMemberSpec{Locality: &meshv1alpha1.MemberLocality{Region: "europe"}},
	}
	a := &Agent{Options: Options{Cluster: "eu", Metadata: client, NoLocalities: true}}
	a.members = map[string]*worker{"mesh1": {agent: a, object: object}}
	next := &nodesSeen{}
	more, err := newNodesTask(a.members["mesh1"]).mark(t.Context(), object, next)
	if err != nil || more || !next.left {
		t.Errorf("more %v, left %v: %v", more, next.left, err)
	}
	if asked := client.Actions(); len(asked) > 0 {
		t.Errorf("asked for %v", asked)
	}
}
