package override

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

func TestOverriders(t *testing.T) {
	const configMap = `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}, data: {j: '{"a":{"b":"<1>"},"n":9007199254740993}', yml: "a:\n  b: 1\n", two: "a: 1\n---\nb: 2\n", text: hello, nothing: "null"}}`
	const service = `{apiVersion: v1, kind: Service, metadata: {name: s, namespace: shop}, spec: {image: "nginx:1", parts: [{image: nginx}]}}`
	image := func(component policyv1alpha1.ImageComponent, op policyv1alpha1.OverriderOperator, value, path string) overriders {
		o := policyv1alpha1.ImageOverrider{Component: component, Operator: op, Value: value}
		if path != "" {
			o.Predicate = &policyv1alpha1.ImagePredicate{Path: path}
		}
		return overriders{ImageOverrider: []policyv1alpha1.ImageOverrider{o}}
	}
	words := func(op policyv1alpha1.OverriderOperator, container string, value ...string) []policyv1alpha1.CommandArgsOverrider {
		return []policyv1alpha1.CommandArgsOverrider{{ContainerName: container, Operator: op, Value: value}}
	}
	keys := func(op policyv1alpha1.OverriderOperator, value map[string]string) []policyv1alpha1.LabelAnnotationOverrider {
		return []policyv1alpha1.LabelAnnotationOverrider{{Operator: op, Value: value}}
	}
	jsonField := func(path string, op policyv1alpha1.OverriderOperator, sub, value string) overriders {
		return overriders{FieldOverrider: []policyv1alpha1.FieldOverrider{{FieldPath: path, JSON: []policyv1alpha1.JSONPatchOperation{{SubPath: sub, Operator: op, Value: jsonValue(value)}}}}}
	}
	yamlField := func(path string, op policyv1alpha1.OverriderOperator, sub, value string) overriders {
		return overriders{FieldOverrider: []policyv1alpha1.FieldOverrider{{FieldPath: path, YAML: []policyv1alpha1.YAMLPatchOperation{{SubPath: sub, Operator: op, Value: jsonValue(value)}}}}}
	}
	cases := map[string]struct {
		reason string
		in     string
		rule   overriders
		path   string // a JSON pointer to the text that is looked at
		want   string
		err    error
	}{
		"Registry":        {reason: "Every container gets it.", in: deployment, rule: image(policyv1alpha1.Registry, replace, "r.example.com", ""), path: "/spec/template/spec/containers/0/image", want: "r.example.com/nginx:1.29"},
		"RegistryOfInit":  {reason: "Init containers too.", in: deployment, rule: image(policyv1alpha1.Registry, replace, "r.example.com", ""), path: "/spec/template/spec/initContainers/0/image", want: "r.example.com/busybox"},
		"NoPods":          {reason: "A Service has no containers, and the policy may select it.", in: service, rule: image(policyv1alpha1.Registry, replace, "r.example.com", ""), path: "/spec/image", want: "nginx:1"},
		"Predicate":       {reason: "A path reaches any kind.", in: service, rule: image(policyv1alpha1.Registry, replace, "r.example.com", "/spec/parts/0/image"), path: "/spec/parts/0/image", want: "r.example.com/nginx"},
		"PredicateLost":   {reason: "The path leads nowhere.", in: service, rule: image(policyv1alpha1.Registry, replace, "r", "/spec/parts/1/image"), err: ErrPathNotFound},
		"PredicateNoText": {reason: "A list is no image.", in: service, rule: image(policyv1alpha1.Registry, replace, "r", "/spec/parts"), err: ErrNotText},

		"CommandAdd":    {reason: "Appended.", in: deployment, rule: overriders{CommandOverrider: words(add, "web", "-v")}, path: "/spec/template/spec/containers/0/command/1", want: "-v"},
		"ArgsRemove":    {reason: "Taken out wherever it is.", in: deployment, rule: overriders{ArgsOverrider: words(remove, "web", "-g")}, path: "/spec/template/spec/containers/0/args/0", want: "daemon off;"},
		"ArgsRemoveAll": {reason: "An empty list goes.", in: deployment, rule: overriders{ArgsOverrider: words(remove, "web", "-g", "daemon off;")}, path: "/spec/template/spec/containers/0/args", err: ErrPathNotFound},
		"ArgsOfInit":    {reason: "Init containers are found too.", in: deployment, rule: overriders{ArgsOverrider: words(add, "setup", "x")}, path: "/spec/template/spec/initContainers/0/args/0", want: "x"},
		"NoSuchOne":     {reason: "Other Deployments of the namespace are left alone.", in: deployment, rule: overriders{ArgsOverrider: words(add, "none", "x")}, path: "/spec/template/spec/containers/0/args/0", want: "-g"},

		"LabelAdd":         {reason: "Added, others kept.", in: deployment, rule: overriders{LabelsOverrider: keys(add, map[string]string{"a": "b"})}, path: "/metadata/labels/app", want: "web"},
		"LabelReplaceNone": {reason: "Replace makes nothing new.", in: deployment, rule: overriders{LabelsOverrider: keys(replace, map[string]string{"a": "b"})}, path: "/metadata/labels/a", err: ErrPathNotFound},
		"LabelReplace":     {reason: "Replace changes what is there.", in: deployment, rule: overriders{LabelsOverrider: keys(replace, map[string]string{"app": "b"})}, path: "/metadata/labels/app", want: "b"},
		"LabelRemove":      {reason: "Removed, whatever its value.", in: deployment, rule: overriders{LabelsOverrider: keys(remove, map[string]string{"app": "other"})}, path: "/metadata/labels", err: ErrPathNotFound},
		"AnnotationAdd":    {reason: "Also where there were none.", in: deployment, rule: overriders{AnnotationsOverrider: keys(add, map[string]string{"a/b": "c"})}, path: "/metadata/annotations/a~1b", want: "c"},

		"JSON":            {reason: "Changed inside; signs and digits are kept.", in: configMap, rule: jsonField("/data/j", add, "/a/c", "2"), path: "/data/j", want: `{"a":{"b":"<1>","c":2},"n":9007199254740993}`},
		"YAML":            {reason: "Changed inside.", in: configMap, rule: yamlField("/data/yml", replace, "/a/b", "2"), path: "/data/yml", want: "a:\n  b: 2\n"},
		"YAMLSeveral":     {reason: "The second document would be lost.", in: configMap, rule: yamlField("/data/two", replace, "/a", "2"), err: ErrNotADocument},
		"NotJSON":         {reason: "It is not JSON.", in: configMap, rule: jsonField("/data/text", add, "/a", "1"), err: ErrNotADocument},
		"JSONLost":        {reason: "There is nothing to remove.", in: configMap, rule: jsonField("/data/j", remove, "/x", ""), err: ErrPatchFailed},
		"FieldLost":       {reason: "There is no such field.", in: configMap, rule: jsonField("/data/x", remove, "/x", ""), err: ErrPathNotFound},
		"PlaintextAdd":    {reason: "A new field.", in: service, rule: plaintext(add, "/spec/type", `"NodePort"`), path: "/spec/type", want: "NodePort"},
		"PlaintextAppend": {reason: "A dash is the end of a list.", in: service, rule: plaintext(add, "/spec/parts/-", `{"image":"x"}`), path: "/spec/parts/1/image", want: "x"},
		"PlaintextRemove": {reason: "It goes.", in: service, rule: plaintext(remove, "/spec/image", ""), path: "/spec/image", err: ErrPathNotFound},
		"PlaintextLabel":  {reason: "Labels are text.", in: service, rule: plaintext(add, "/metadata/labels", `{"a":1}`), err: ErrBadMetadata},
		"PlaintextLabels": {reason: "Labels are a map.", in: service, rule: plaintext(add, "/metadata/labels", `[]`), err: ErrBadMetadata},
		"NullDocument":    {reason: "There is nothing inside of null.", in: configMap, rule: jsonField("/data/nothing", replace, "/a", "1"), err: ErrPatchFailed},
		"PlaintextLost":   {reason: "The parent is missing.", in: service, rule: plaintext(add, "/spec/a/b", "1"), err: ErrPatchFailed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			obj := object(t, tc.in)
			_, err := Apply(obj, cluster("eu"), nil, []*policyv1alpha1.OverridePolicy{policy("shop", "p", everywhere(tc.rule))})
			var got string
			if tc.path != "" && err == nil {
				err = changeText(obj.Object, tc.path, func(text string) (string, error) { got = text; return text, nil })
			}
			if !errors.Is(err, tc.err) || tc.err == nil && err != nil {
				t.Fatalf("%s Got error %v, want %v", tc.reason, err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestChangeImage(t *testing.T) {
	const registry, repository, tag = policyv1alpha1.Registry, policyv1alpha1.Repository, policyv1alpha1.Tag
	const digest = "sha256:50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c"
	cases := map[string]struct {
		reason    string
		image     string
		component policyv1alpha1.ImageComponent
		operator  policyv1alpha1.OverriderOperator
		value     string
		want      string
		err       error
	}{
		"RegistryNone":     {reason: "The first one is set.", image: "nginx", component: registry, operator: replace, value: "r.io", want: "r.io/nginx"},
		"RegistryOther":    {reason: "A port is part of it.", image: "a.io:5000/x/nginx:1", component: registry, operator: replace, value: "r.io", want: "r.io/x/nginx:1"},
		"RegistryUser":     {reason: "A user is no registry.", image: "library/nginx", component: registry, operator: replace, value: "r.io", want: "r.io/library/nginx"},
		"RegistryAdd":      {reason: "Appended.", image: "r.io/nginx", component: registry, operator: add, value: ":5000", want: "r.io:5000/nginx"},
		"RegistryRemove":   {reason: "The default one is left.", image: "localhost/nginx", component: registry, operator: remove, want: "nginx"},
		"Repository":       {reason: "Registry and digest stay.", image: "r.io/a/b@" + digest, component: repository, operator: replace, value: "c", want: "r.io/c@" + digest},
		"RepositoryAdd":    {reason: "Appended.", image: "nginx:1", component: repository, operator: add, value: "-slim", want: "nginx-slim:1"},
		"RepositoryRemove": {reason: "Nothing would be left.", image: "nginx:1", component: repository, operator: remove, err: ErrBadImage},
		"Tag":              {reason: "Replaced.", image: "r.io:5000/nginx:1", component: tag, operator: replace, value: "2", want: "r.io:5000/nginx:2"},
		"TagNone":          {reason: "A port is no tag.", image: "r.io:5000/nginx", component: tag, operator: replace, value: "2", want: "r.io:5000/nginx:2"},
		"TagAdd":           {reason: "Appended.", image: "nginx:1", component: tag, operator: add, value: "-alpine", want: "nginx:1-alpine"},
		"TagAddNone":       {reason: "Set where there was none.", image: "nginx", component: tag, operator: add, value: "1", want: "nginx:1"},
		"TagRemove":        {reason: "Gone.", image: "nginx:1@" + digest, component: tag, operator: remove, want: "nginx"},
		"TagOverDigest":    {reason: "The digest would go on deciding.", image: "nginx:1@" + digest, component: tag, operator: replace, value: "2", want: "nginx:2"},
		"DigestForTag":     {reason: "A digest is recognised.", image: "nginx:1", component: tag, operator: replace, value: digest, want: "nginx@" + digest},
		"TagAndDigest":     {reason: "Both may be given.", image: "nginx", component: tag, operator: replace, value: "2@" + digest, want: "nginx:2@" + digest},
		"DigestAdd":        {reason: "A longer digest is none.", image: "nginx@" + digest, component: tag, operator: add, value: "0", err: ErrBadImage},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := changeImage(tc.image, &policyv1alpha1.ImageOverrider{Component: tc.component, Operator: tc.operator, Value: tc.value})
			if !errors.Is(err, tc.err) || tc.err == nil && err != nil {
				t.Fatalf("%s Got error %v, want %v", tc.reason, err, tc.err)
			}
			if got != tc.want {
				t.Errorf("%s Got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
