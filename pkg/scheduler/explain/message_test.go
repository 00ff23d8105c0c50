package explain

import (
	"fmt"
	"strings"
	"testing"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
	"github.com/flotilla-io/flotilla/pkg/scheduler/framework"
)

func TestMessageOfManyClusters(t *testing.T) {
	d := Diagnosis{Reason: workv1alpha2.BindingReasonNoClusterFit, Clusters: 300, Groups: []Group{{}}}
	for i := range 300 {
		d.Groups[0].Rejections = append(d.Groups[0].Rejections, framework.Rejection{Cluster: fmt.Sprintf("c%03d", i), Plugin: "ClusterReady", Reason: "not ready"})
	}
	want := "0/300 clusters fit: c000, c001, c002, c003, c004, c005, c006, c007, c008, c009 and 290 more: not ready. "
	if got := d.Message(); !strings.HasPrefix(got, want) {
		t.Errorf("a long list is cut:\n got %q\nwant %q...", got, want)
	}
}

func TestMessageFitsIntoACondition(t *testing.T) {
	const limit = 32768 // maxLength of a condition's message
	d := Diagnosis{Reason: workv1alpha2.BindingReasonNoClusterFit, Clusters: 2000, Groups: []Group{{}}}
	for i := range 2000 {
		d.Groups[0].Rejections = append(d.Groups[0].Rejections, framework.Rejection{
			Cluster: fmt.Sprintf("cluster-%04d", i), Reason: fmt.Sprintf("taint some.long/key-%d is not tolerated", i)})
		d.Unknown = append(d.Unknown, UnknownCluster{Name: fmt.Sprintf("u%d", i), Field: fmt.Sprintf("placement.field[%d]", i)})
	}
	if got := len(d.Message()); got > limit {
		t.Errorf("a message of %d bytes does not fit into a condition (%d)", got, limit)
	}
	d.Reason = workv1alpha2.BindingReasonSuccess
	if got := len(d.Message()); got > limit {
		t.Errorf("a message of %d bytes does not fit into a condition (%d)", got, limit)
	}
}

func TestResult(t *testing.T) {
	got := Result([]workv1alpha2.TargetCluster{{Name: "ap", Replicas: 4}, {Name: "eu", Replicas: 3}})
	if got != "ap:4, eu:3" {
		t.Errorf("replicas: got %q", got)
	}
	if got := Result([]workv1alpha2.TargetCluster{{Name: "ap"}, {Name: "eu"}}); got != "ap, eu" {
		t.Errorf("no replicas: got %q", got)
	}
	var many []workv1alpha2.TargetCluster
	for i := range 300 {
		many = append(many, workv1alpha2.TargetCluster{Name: fmt.Sprintf("cluster-%03d", i), Replicas: 7})
	}
	got = Result(many)
	if len(got) > 900 || !strings.HasSuffix(got, " more") || strings.Count(got, ":7") == 0 {
		t.Errorf("a long result is cut after a whole entry: %d bytes, %q", len(got), got)
	}
}
