package validation

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// summary is what tests look at: field and type of each error, not its words.
func summary(errs field.ErrorList) []string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Field+" "+string(err.Type))
	}
	return all
}

func validCluster() *clusterv1alpha1.Cluster {
	return &clusterv1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: "eu"},
		Spec:       clusterv1alpha1.ClusterSpec{SyncMode: clusterv1alpha1.Pull},
	}
}

func model(grade int32, name corev1.ResourceName, from, to string) clusterv1alpha1.ResourceModel {
	return clusterv1alpha1.ResourceModel{Grade: grade, Ranges: []clusterv1alpha1.ResourceModelRange{
		{Name: name, Min: resource.MustParse(from), Max: resource.MustParse(to)},
	}}
}

func TestValidateCluster(t *testing.T) {
	type cluster = clusterv1alpha1.Cluster
	cases := map[string]struct {
		reason string
		change func(*cluster)
		want   []string
	}{
		"Valid":       {reason: "The smallest pull cluster.", change: func(*cluster) {}},
		"LongestName": {reason: "48 characters leave room for prefixes.", change: func(c *cluster) { c.Name = strings.Repeat("a", 48) }},
		"TooLong":     {reason: "One more does not.", change: func(c *cluster) { c.Name = strings.Repeat("a", 49) }, want: []string{"metadata.name FieldValueInvalid"}},
		"Dots":        {reason: "Names of namespaces are made of it.", change: func(c *cluster) { c.Name = "eu.west" }, want: []string{"metadata.name FieldValueInvalid"}},
		"NoMode":      {reason: "It must be known who connects.", change: func(c *cluster) { c.Spec.SyncMode = "" }, want: []string{"spec.syncMode FieldValueRequired"}},
		"BadMode":     {reason: "There are two modes.", change: func(c *cluster) { c.Spec.SyncMode = "Both" }, want: []string{"spec.syncMode FieldValueNotSupported"}},
		"Push": {reason: "Everything that is needed to connect.", change: func(c *cluster) {
			c.Spec.SyncMode, c.Spec.APIEndpoint = clusterv1alpha1.Push, "https://203.0.113.7:6443"
			c.Spec.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "karmada-cluster", Name: "eu"}
		}},
		"PushNowhere":    {reason: "The control plane could not connect.", change: func(c *cluster) { c.Spec.SyncMode = clusterv1alpha1.Push }, want: []string{"spec.apiEndpoint FieldValueRequired", "spec.secretRef FieldValueRequired"}},
		"NoScheme":       {reason: "A host is not a URL.", change: func(c *cluster) { c.Spec.APIEndpoint = "203.0.113.7:6443" }, want: []string{"spec.apiEndpoint FieldValueInvalid"}},
		"NoHost":         {reason: "There is nobody to connect to.", change: func(c *cluster) { c.Spec.APIEndpoint = "https://:6443" }, want: []string{"spec.apiEndpoint FieldValueInvalid"}},
		"Query":          {reason: "Paths are appended to it.", change: func(c *cluster) { c.Spec.APIEndpoint = "https://eu?x=y" }, want: []string{"spec.apiEndpoint FieldValueInvalid"}},
		"ProxyScheme":    {reason: "That is no proxy.", change: func(c *cluster) { c.Spec.ProxyURL = "ftp://proxy" }, want: []string{"spec.proxyURL FieldValueInvalid"}},
		"Proxy":          {reason: "SOCKS5 is one.", change: func(c *cluster) { c.Spec.ProxyURL = "socks5://proxy:1080" }},
		"BadHeader":      {reason: "It would end the header.", change: func(c *cluster) { c.Spec.ProxyHeader = map[string]string{"A b": "c", "d": "e\nf"} }, want: []string{"spec.proxyHeader[A b] FieldValueInvalid", "spec.proxyHeader[d] FieldValueInvalid"}},
		"EmptySecretRef": {reason: "A reference must refer.", change: func(c *cluster) { c.Spec.SecretRef = &clusterv1alpha1.LocalSecretReference{} }, want: []string{"spec.secretRef.namespace FieldValueRequired", "spec.secretRef.name FieldValueRequired"}},
		"BadImpersonator": {reason: "No Secret can have that name.", change: func(c *cluster) {
			c.Spec.ImpersonatorSecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "a", Name: "B c"}
		}, want: []string{"spec.impersonatorSecretRef.name FieldValueInvalid"}},
		"BadTaints": {reason: "Each part of a taint is checked.", change: func(c *cluster) {
			c.Spec.Taints = []corev1.Taint{{Key: "a", Effect: "NoFun"}, {Effect: corev1.TaintEffectNoExecute, Value: "a b"}}
		}, want: []string{"spec.taints[0].effect FieldValueNotSupported", "spec.taints[1].key FieldValueRequired", "spec.taints[1].value FieldValueInvalid"}},
		"TwoTaints": {reason: "One key may have two effects, but not one twice.", change: func(c *cluster) {
			c.Spec.Taints = []corev1.Taint{{Key: "a", Effect: corev1.TaintEffectNoExecute}, {Key: "a", Effect: corev1.TaintEffectNoSchedule}, {Key: "a", Value: "x", Effect: corev1.TaintEffectNoExecute}}
		}, want: []string{"spec.taints[2] FieldValueDuplicate"}},
		"Models": {reason: "The order of writing does not matter.", change: func(c *cluster) {
			c.Spec.ResourceModels = []clusterv1alpha1.ResourceModel{model(1, "cpu", "2", "4"), model(0, "cpu", "0", "2000m")}
		}},
		"GradeGap": {reason: "Grade 1 is missing.", change: func(c *cluster) {
			c.Spec.ResourceModels = []clusterv1alpha1.ResourceModel{model(0, "cpu", "0", "2"), model(2, "cpu", "2", "4")}
		}, want: []string{"spec.resourceModels[1].grade FieldValueInvalid"}},
		"GradeTwice": {reason: "Grade 0 is there twice.", change: func(c *cluster) {
			c.Spec.ResourceModels = []clusterv1alpha1.ResourceModel{model(0, "cpu", "0", "2"), model(0, "cpu", "2", "4")}
		}, want: []string{"spec.resourceModels[1].grade FieldValueInvalid"}},
		"RangeGap": {reason: "A node with 3 cores would have no grade.", change: func(c *cluster) {
			c.Spec.ResourceModels = []clusterv1alpha1.ResourceModel{model(0, "cpu", "0", "2"), model(1, "cpu", "4", "8")}
		}, want: []string{"spec.resourceModels[1].ranges[0].min FieldValueInvalid"}},
		"OtherResource": {reason: "Grades must be comparable.", change: func(c *cluster) {
			c.Spec.ResourceModels = []clusterv1alpha1.ResourceModel{model(0, "cpu", "0", "2"), model(1, "memory", "2", "4")}
		}, want: []string{"spec.resourceModels[1].ranges[0].name FieldValueInvalid", "spec.resourceModels[1].ranges FieldValueRequired"}},
		"EmptyRange": {reason: "No node can be in it.", change: func(c *cluster) {
			c.Spec.ResourceModels = []clusterv1alpha1.ResourceModel{model(0, "cpu", "2", "2"), {Grade: 1}}
		}, want: []string{"spec.resourceModels[0].ranges[0].max FieldValueInvalid", "spec.resourceModels[1].ranges FieldValueRequired", "spec.resourceModels[1].ranges FieldValueRequired"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := validCluster()
			tc.change(c)
			if diff := cmp.Diff(tc.want, summary(ValidateCluster(c))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			labelled := c.DeepCopy()
			labelled.Labels = map[string]string{"a": "b"}
			if errs := ValidateClusterUpdate(labelled, c); len(errs) > 0 {
				t.Errorf("What is stored can be labelled: %v", errs)
			}
		})
	}
}

func TestSyncModeIsImmutable(t *testing.T) {
	push := validCluster()
	push.Spec.SyncMode, push.Spec.APIEndpoint = clusterv1alpha1.Push, "https://eu"
	push.Spec.SecretRef = &clusterv1alpha1.LocalSecretReference{Namespace: "a", Name: "b"}
	if errs := ValidateClusterUpdate(push, push); len(errs) > 0 {
		t.Errorf("Nothing changed: %v", errs)
	}
	if diff := cmp.Diff([]string{"spec.syncMode FieldValueInvalid"}, summary(ValidateClusterUpdate(push, validCluster()))); diff != "" {
		t.Errorf("The other side would still be running (-want +got):\n%s", diff)
	}
}

func TestValidateClusterStatus(t *testing.T) {
	c := validCluster()
	c.Status.NodeSummary = &clusterv1alpha1.NodeSummary{TotalNum: -1}
	c.Status.APIEnablements = []clusterv1alpha1.APIEnablement{{Resources: []clusterv1alpha1.APIResource{{}}}}
	c.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "Maybe", Reason: "R", LastTransitionTime: metav1.Now()}}
	want := []string{
		"status.conditions[0].status FieldValueNotSupported",
		"status.apiEnablements[0].groupVersion FieldValueRequired",
		"status.apiEnablements[0].resources[0].name FieldValueRequired",
		"status.apiEnablements[0].resources[0].kind FieldValueRequired",
		"status.nodeSummary FieldValueInvalid",
	}
	if diff := cmp.Diff(want, summary(ValidateClusterStatusUpdate(c, c))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzValidateCluster(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"metadata":{"name":"a"},"spec":{"apiEndpoint":"https://%zz","proxyURL":"::","proxyHeader":{"":"\u0000"},"taints":[{}],"resourceModels":[{"grade":-1,"ranges":[{"name":"cpu","min":"1","max":"2"}]},{"grade":2147483647}]},"status":{"conditions":[{}],"nodeSummary":{"readyNum":-1}}}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		c := &clusterv1alpha1.Cluster{}
		if json.Unmarshal(data, c) == nil {
			ValidateCluster(c)
			ValidateClusterUpdate(c, validCluster())
			ValidateClusterStatusUpdate(c, c)
		}
	})
}
