package charts

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Nothing is generated while rendering: the same values give the same objects, in
// the first installation, in every upgrade, and in a rollback, which is an upgrade
// to what was rendered before.
func TestUpgradeChangesNothing(t *testing.T) {
	for name, values := range sets(t) {
		t.Run(name, func(t *testing.T) {
			first, err := render(values)
			require.NoError(t, err)
			again, err := render(values)
			require.NoError(t, err)
			assert.Equal(t, first.text, again.text)
			upgraded, err := render(values, asUpgrade)
			require.NoError(t, err)
			assert.Equal(t, first.text, upgraded.text)
		})
	}
}

// What Kubernetes does not let anybody change has to stay as it is, whatever else
// changes.
func TestImmutable(t *testing.T) {
	for name, values := range sets(t) {
		t.Run(name, func(t *testing.T) {
			before, err := render(values)
			require.NoError(t, err)
			values["image"] = parse(t, `{tag: v9.9.9}`)
			values["commonLabels"] = parse(t, `{another: label}`)
			after, err := render(values, asUpgrade)
			require.NoError(t, err)
			selectors := func(r *rendering) map[string]map[string]string {
				all := map[string]map[string]string{}
				for _, w := range workloads(t, r) {
					if w.selector != nil {
						all[w.name] = w.selector
					}
				}
				return all
			}
			assert.Equal(t, selectors(before), selectors(after))
		})
	}
}

// What holds the federation is left by an uninstallation, and is not in a hook,
// which would delete it.
func TestKept(t *testing.T) {
	kept := 0
	each(t, func(t *testing.T, r *rendering) {
		for _, o := range r.objects {
			if o.GetKind() != "PersistentVolumeClaim" {
				continue
			}
			kept++
			assert.Equal(t, "keep", o.GetAnnotations()["helm.sh/resource-policy"], name(o))
			assert.Empty(t, o.GetAnnotations()["helm.sh/hook"], name(o))
		}
		for _, o := range r.objects {
			assert.NotContains(t, []string{"flotilla-pki", "flotilla-kubeconfig", "flotilla-agent-identity"}, o.GetName(),
				"%s belongs to the program that makes it; an upgrade would empty it", name(o))
		}
	})
	assert.Equal(t, 4, kept)

	r, err := render(parse(t, `{etcd: {embedded: {persistence: {existingClaim: mine}}}}`))
	require.NoError(t, err)
	for _, o := range r.objects {
		assert.NotEqual(t, "PersistentVolumeClaim", o.GetKind())
	}
	volumes := workloads(t, r)[0].template.Spec.Volumes
	assert.Equal(t, "mine", volumes[0].PersistentVolumeClaim.ClaimName)
}

func TestHooks(t *testing.T) {
	each(t, func(t *testing.T, r *rendering) {
		for _, o := range r.objects {
			if o.GetAnnotations()["helm.sh/hook"] != "" {
				assert.Equal(t, "before-hook-creation,hook-succeeded", o.GetAnnotations()["helm.sh/hook-delete-policy"],
					"%s: it can be run again after a failure, and leaves nothing", name(o))
			}
			if o.GetKind() == "ServiceMonitor" {
				continue
			}
			object, err := typed(o)
			require.NoError(t, err)
			switch object := object.(type) {
			case *batchv1.Job:
				assert.NotEmpty(t, o.GetAnnotations()["helm.sh/hook"], name(o))
				assert.Positive(t, *object.Spec.ActiveDeadlineSeconds, name(o))
			case *batchv1.CronJob:
				assert.Positive(t, *object.Spec.JobTemplate.Spec.ActiveDeadlineSeconds, name(o))
				assert.Equal(t, batchv1.ForbidConcurrent, object.Spec.ConcurrencyPolicy, name(o))
			}
		}
	})
	r, err := render(map[string]any{})
	require.NoError(t, err)
	hook, job := r.get(t, "ServiceAccount", "flotilla-credentials-hook"), r.get(t, "Job", "flotilla-credentials-hook")
	assert.Equal(t, hook.GetAnnotations()["helm.sh/hook"], job.GetAnnotations()["helm.sh/hook"])
	assert.Equal(t, "-10", hook.GetAnnotations()["helm.sh/hook-weight"], "rights come before who uses them")
	assert.Equal(t, "0", job.GetAnnotations()["helm.sh/hook-weight"])
}

// With several replicas there is always one that works.
func TestRollingUpdates(t *testing.T) {
	r, err := render(sets(t)["host-ha"])
	require.NoError(t, err)
	for component, replicas := range map[string]int32{"apiserver": 3, "controller-manager": 2, "scheduler": 2} {
		object, err := typed(r.get(t, "Deployment", "flotilla-"+component))
		require.NoError(t, err)
		d := object.(*appsv1.Deployment)
		assert.Equal(t, replicas, *d.Spec.Replicas)
		assert.Equal(t, intstr.FromInt32(1), *d.Spec.Strategy.RollingUpdate.MaxUnavailable, component)
		assert.Len(t, d.Spec.Template.Spec.TopologySpreadConstraints, 2, component)
		assert.NotNil(t, d.Spec.Template.Spec.Affinity.PodAntiAffinity, component)
		object, err = typed(r.get(t, "PodDisruptionBudget", "flotilla-"+component))
		require.NoError(t, err)
		assert.Equal(t, intstr.FromInt32(1), *object.(*policyv1.PodDisruptionBudget).Spec.MaxUnavailable, component)
	}
	single, err := render(parse(t, `{etcd: {mode: external, external: {servers: ["http://etcd:2379"]}}, allInOne: false, scheduler: {replicas: 1}}`))
	require.NoError(t, err)
	for _, component := range []string{"apiserver", "scheduler"} {
		object, err := typed(single.get(t, "Deployment", "flotilla-"+component))
		require.NoError(t, err)
		assert.Equal(t, intstr.FromInt32(0), *object.(*appsv1.Deployment).Spec.Strategy.RollingUpdate.MaxUnavailable,
			"%s: the new one is there before the old one goes", component)
	}
	for _, o := range single.objects {
		if o.GetKind() == "PodDisruptionBudget" {
			assert.Equal(t, "flotilla-controller-manager", o.GetName(), "a budget for one pod keeps nodes from being drained")
		}
	}
}

// Pods wait for Secrets that somebody makes: the chart, its hook, or the user.
// Components read the server's URL from their kubeconfig once, so another one takes
// other pods; anything else about a kubeconfig does not.
func TestAnotherURLRestartsControllers(t *testing.T) {
	annotations := func(port int) map[string]string {
		values := sets(t)["host-ha"]
		server, _ := values["apiServer"].(map[string]any)
		if server == nil {
			server = map[string]any{}
			values["apiServer"] = server
		}
		server["port"] = port
		r, err := render(values)
		require.NoError(t, err)
		out := map[string]string{}
		for _, w := range workloads(t, r) {
			out[w.name] = w.template.Annotations["checksum/server"]
		}
		return out
	}
	first, same, other := annotations(5443), annotations(5443), annotations(6443)
	for _, name := range []string{"Deployment/flotilla-controller-manager", "Deployment/flotilla-scheduler"} {
		require.NotEmpty(t, first[name], name)
		assert.Equal(t, first[name], same[name])
		assert.NotEqual(t, first[name], other[name])
	}
}

func TestSecretsExist(t *testing.T) {
	each(t, func(t *testing.T, r *rendering) {
		made := []string{"flotilla-pki", "flotilla-controller-manager-kubeconfig", "flotilla-scheduler-kubeconfig"} // the hook
		users := []string{"my-pki", "flotilla-etcd", "joined-by-gitops"}
		for _, o := range r.objects {
			if o.GetKind() == "Secret" {
				made = append(made, o.GetName())
			}
		}
		for _, w := range workloads(t, r) {
			for _, v := range w.template.Spec.Volumes {
				if v.Secret != nil {
					assert.Contains(t, slices.Concat(made, users), v.Secret.SecretName, w.name)
				}
			}
		}
	})
}

// The agent reads a new token without a restart.
func TestTokenIsMountedAsDirectory(t *testing.T) {
	r, err := render(sets(t)["agent-token"])
	require.NoError(t, err)
	for _, w := range workloads(t, r) {
		for _, m := range w.template.Spec.Containers[0].VolumeMounts {
			assert.Empty(t, m.SubPath, m.Name)
		}
		i := slices.IndexFunc(w.template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "bootstrap" })
		require.GreaterOrEqual(t, i, 0)
		assert.True(t, *w.template.Spec.Volumes[i].Secret.Optional)
		assert.Empty(t, w.template.Annotations, "another token is no reason for another pod")
	}
	values := sets(t)["agent-token"]
	delete(values["agent"].(map[string]any), "bootstrapToken")
	r, err = render(values, asUpgrade)
	require.NoError(t, err, "an agent that has joined needs none")
	for _, o := range r.objects {
		assert.NotEqual(t, "Secret", o.GetKind())
	}
}
