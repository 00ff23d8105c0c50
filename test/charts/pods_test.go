package charts

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// workload is whatever makes pods.
type workload struct {
	name     string
	selector map[string]string // nil for Jobs
	template corev1.PodTemplateSpec
	serves   bool // runs until somebody ends it
}

func workloads(t *testing.T, r *rendering) []workload {
	t.Helper()
	var all []workload
	for _, o := range r.objects {
		if o.GetKind() == "ServiceMonitor" {
			continue
		}
		object, err := typed(o)
		require.NoError(t, err)
		switch object := object.(type) {
		case *appsv1.Deployment:
			all = append(all, workload{name(o), object.Spec.Selector.MatchLabels, object.Spec.Template, true})
		case *appsv1.StatefulSet:
			all = append(all, workload{name(o), object.Spec.Selector.MatchLabels, object.Spec.Template, true})
		case *batchv1.Job:
			all = append(all, workload{name(o), nil, object.Spec.Template, false})
		case *batchv1.CronJob:
			all = append(all, workload{name(o), nil, object.Spec.JobTemplate.Spec.Template, false})
		}
	}
	require.NotEmpty(t, all)
	return all
}

// eachContainer calls check for every container of every set.
func eachContainer(t *testing.T, check func(t *testing.T, w workload, c corev1.Container)) {
	t.Helper()
	each(t, func(t *testing.T, r *rendering) {
		for _, w := range workloads(t, r) {
			containers := slices.Concat(w.template.Spec.InitContainers, w.template.Spec.Containers)
			require.NotEmpty(t, containers, w.name)
			for _, c := range containers {
				check(t, w, c)
			}
		}
	})
}

func TestSecurityContexts(t *testing.T) {
	eachContainer(t, func(t *testing.T, w workload, c corev1.Container) {
		pod, own := w.template.Spec.SecurityContext, c.SecurityContext
		require.NotNil(t, pod, w.name)
		require.NotNil(t, own, w.name)
		assert.True(t, *pod.RunAsNonRoot, w.name)
		assert.Equal(t, int64(65532), *pod.RunAsUser, "%s: the user of the images", w.name)
		assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SeccompProfile.Type, w.name)
		assert.False(t, *own.AllowPrivilegeEscalation, w.name)
		assert.True(t, *own.ReadOnlyRootFilesystem, w.name)
		assert.Equal(t, []corev1.Capability{"ALL"}, own.Capabilities.Drop, w.name)
		assert.Empty(t, own.Capabilities.Add, w.name)
		assert.Nil(t, own.Privileged, w.name)
		assert.False(t, w.template.Spec.HostPID || w.template.Spec.HostIPC, w.name)
		for _, v := range w.template.Spec.Volumes {
			assert.Nil(t, v.HostPath, "%s: volume %s", w.name, v.Name)
		}
	})
}

func TestContainers(t *testing.T) {
	eachContainer(t, func(t *testing.T, w workload, c corev1.Container) {
		assert.NotEmpty(t, c.Resources.Requests.Cpu().String(), w.name)
		assert.False(t, c.Resources.Requests.Memory().IsZero(), "%s: memory requested", w.name)
		assert.False(t, c.Resources.Limits.Memory().IsZero(), "%s: memory limited", w.name)
		assert.True(t, c.Resources.Limits.Cpu().IsZero(), "%s: a limit of CPU only makes it slow", w.name)
		if w.serves {
			assert.NotNil(t, c.LivenessProbe, w.name)
			assert.NotNil(t, c.ReadinessProbe, w.name)
		}
		for _, m := range c.VolumeMounts {
			assert.True(t, slices.ContainsFunc(w.template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }),
				"%s mounts %s, which is no volume", w.name, m.Name)
		}
		for _, v := range w.template.Spec.Volumes {
			if v.Secret != nil || v.ConfigMap != nil {
				assert.True(t, slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name }),
					"%s does not mount %s", w.name, v.Name)
			}
		}
		assert.NotContains(t, strings.Join(c.Args, " "), "PRIVATE KEY", "%s: secrets are not for command lines", w.name)
		assert.NotContains(t, strings.Join(c.Args, " "), "abcdef.0123456789abcdef", "%s: nor are tokens", w.name)
	})
}

func TestSelectors(t *testing.T) {
	each(t, func(t *testing.T, r *rendering) {
		all := workloads(t, r)
		for _, w := range all {
			if w.selector != nil {
				assert.True(t, labels.SelectorFromSet(w.selector).Matches(labels.Set(w.template.Labels)), "%s does not select its own pods", w.name)
			}
		}
		selected := func(what string, selector map[string]string) (n int) {
			for _, w := range all {
				if labels.SelectorFromSet(selector).Matches(labels.Set(w.template.Labels)) {
					n++
				}
			}
			assert.NotZero(t, n, "%s selects nothing", what)
			return n
		}
		guarded := 0
		for _, o := range r.objects {
			if o.GetKind() == "ServiceMonitor" {
				continue
			}
			object, err := typed(o)
			require.NoError(t, err)
			switch object := object.(type) {
			case *corev1.Service:
				assert.Equal(t, 1, selected(name(o), object.Spec.Selector), name(o))
				servesPorts(t, all, object)
			case *networkingv1.NetworkPolicy:
				guarded += selected(name(o), object.Spec.PodSelector.MatchLabels)
			case *policyv1.PodDisruptionBudget:
				assert.Equal(t, 1, selected(name(o), object.Spec.Selector.MatchLabels), name(o))
			}
		}
		if guarded > 0 {
			assert.Equal(t, len(all), guarded, "a policy for each pod, or for none")
		}
	})
}

// servesPorts fails when a Service names a port that its pods do not have.
func servesPorts(t *testing.T, all []workload, service *corev1.Service) {
	t.Helper()
	for _, w := range all {
		if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(w.template.Labels)) {
			continue
		}
		for _, port := range service.Spec.Ports {
			assert.True(t, slices.ContainsFunc(w.template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool {
				return p.Name == port.TargetPort.StrVal
			}), "%s: %s has no port %s", service.Name, w.name, port.TargetPort.StrVal)
		}
	}
}

// wholeImage is a registry, a path, and a version or a digest.
var wholeImage = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?/[a-z0-9/_-]+(:v[0-9][A-Za-z0-9.+-]*|@sha256:[0-9a-f]{64})$`)

func TestImages(t *testing.T) {
	eachContainer(t, func(t *testing.T, w workload, c corev1.Container) {
		assert.Regexp(t, wholeImage, c.Image, w.name)
		assert.NotContains(t, c.Image, "latest", w.name)
	})

	everywhere := `{registry: mirror.example.com, repository: x/y, tag: v9, pullPolicy: Never, pullSecrets: [s]}`
	for set, values := range sets(t) {
		t.Run(set, func(t *testing.T) {
			values["image"] = parse(t, everywhere)
			for _, component := range []string{"apiServer", "agent"} {
				if own, ok := values[component].(map[string]any); ok {
					delete(own, "image")
				}
			}
			r, err := render(values)
			require.NoError(t, err)
			for _, w := range workloads(t, r) {
				assert.Regexp(t, `^mirror\.example\.com/x/y/[a-z-]+:v9$`, w.template.Spec.Containers[0].Image, w.name)
				assert.Equal(t, corev1.PullNever, w.template.Spec.Containers[0].ImagePullPolicy, w.name)
				assert.Equal(t, []corev1.LocalObjectReference{{Name: "s"}}, w.template.Spec.ImagePullSecrets, w.name)
			}
		})
	}
	t.Run("of one component", func(t *testing.T) {
		for _, component := range []string{"apiServer", "controllerManager", "scheduler"} {
			r, err := render(map[string]any{
				"allInOne": false,
				component:  map[string]any{"image": map[string]any{"registry": "one.example.com", "repository": "only", "tag": "v8"}},
			})
			require.NoError(t, err)
			changed := 0
			for _, w := range workloads(t, r) {
				if w.template.Spec.Containers[0].Image == "one.example.com/only:v8" {
					changed++
				}
			}
			want := 1
			if component == "apiServer" {
				want = 3 // its image has the credentials' command, too
			}
			assert.Equal(t, want, changed, component)
		}
	})
}

func TestLabels(t *testing.T) {
	each(t, func(t *testing.T, r *rendering) {
		for _, o := range r.objects {
			for _, label := range []string{
				"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component",
				"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart",
			} {
				assert.NotEmpty(t, o.GetLabels()[label], "%s has no label %s", name(o), label)
			}
			if o.GetKind() != "ClusterRole" && o.GetKind() != "ClusterRoleBinding" {
				assert.Equal(t, namespace, o.GetNamespace(), name(o))
			}
		}
	})
	for _, set := range []string{"host-everything", "agent-everything"} {
		r, err := render(sets(t)[set])
		require.NoError(t, err)
		for _, o := range r.objects {
			assert.Equal(t, "platform", o.GetLabels()["team"], name(o))
			assert.Equal(t, "platform", o.GetAnnotations()["example.com/owner"], name(o))
		}
		for _, w := range workloads(t, r) {
			assert.Equal(t, "platform", w.template.Labels["team"], w.name)
		}
	}
}

// A token for the API of the cluster is only where it is used.
func TestServiceAccountTokens(t *testing.T) {
	each(t, func(t *testing.T, r *rendering) {
		for _, w := range workloads(t, r) {
			require.NotNil(t, w.template.Spec.AutomountServiceAccountToken, w.name)
			wants := strings.Contains(w.name, "-agent") || strings.Contains(w.name, "-credentials")
			assert.Equal(t, wants, *w.template.Spec.AutomountServiceAccountToken, w.name)
			account := w.template.Spec.ServiceAccountName
			assert.Equal(t, account, r.get(t, "ServiceAccount", account).GetName())
		}
	})
}
