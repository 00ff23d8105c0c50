package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Whoever turns --all-in-one on or off runs both for a while; one acts at a time.
func TestAllInOneWaitsForSeparateControllers(t *testing.T) {
	holders := func(client *fake.Clientset) map[string]string {
		list, err := client.CoordinationV1().Leases("kube-system").List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		out := map[string]string{}
		for i := range list.Items {
			out[list.Items[i].Name] = ptr.Deref(list.Items[i].Spec.HolderIdentity, "")
		}
		return out
	}
	for _, held := range []string{"", "flotilla-controller-manager", "flotilla-scheduler"} {
		for _, who := range []string{embedded, "host_1"} {
			t.Run(who+" "+held, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client := fake.NewClientset()
					leases := client.CoordinationV1().Leases("kube-system")
					if held != "" {
						now := metav1.NewMicroTime(time.Now())
						_, err := leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: held}, Spec: coordinationv1.LeaseSpec{
							HolderIdentity: ptr.To("separate"), LeaseDurationSeconds: ptr.To(int32(15)), AcquireTime: &now, RenewTime: &now}}, metav1.CreateOptions{})
						require.NoError(t, err)
					}
					opts := elect(ctrl.Options{}, client.CoordinationV1(), who)
					require.True(t, opts.LeaderElection)
					leads := make(chan struct{})
					elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
						Lock:          opts.LeaderElectionResourceLockInterface,
						LeaseDuration: ptr.Deref(opts.LeaseDuration, 15*time.Second), RenewDeadline: ptr.Deref(opts.RenewDeadline, 10*time.Second), RetryPeriod: ptr.Deref(opts.RetryPeriod, 2*time.Second),
						ReleaseOnCancel: opts.LeaderElectionReleaseOnCancel,
						Callbacks:       leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { close(leads) }, OnStoppedLeading: func() {}},
					})
					require.NoError(t, err)
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan struct{})
					go func() { defer close(done); elector.Run(ctx) }()

					if held != "" {
						// The separate one works on, and renews.
						for range 100 {
							<-time.After(5 * time.Second) // of the bubble's clock
							lease, err := leases.Get(t.Context(), held, metav1.GetOptions{})
							require.NoError(t, err)
							require.Equal(t, "separate", *lease.Spec.HolderIdentity)
							lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(time.Now()))
							_, err = leases.Update(t.Context(), lease, metav1.UpdateOptions{})
							require.NoError(t, err)
						}
						select {
						case <-leads:
							require.Fail(t, "both are at work")
						default:
						}
					}
					<-leads // it is gone, or never was
					assert.Equal(t, map[string]string{"flotilla-controller-manager": who, "flotilla-scheduler": who}, holders(client), "separate ones would wait")
					cancel()
					<-done
					assert.Equal(t, map[string]string{"flotilla-controller-manager": "", "flotilla-scheduler": ""}, holders(client), "and need not wait long")
				})
			})
		}
	}
}

// What runs in one process with its etcd is not kept waiting by itself.
func TestIdentities(t *testing.T) {
	assert.Equal(t, embedded, identity(false))
	first, second := identity(true), identity(true)
	assert.NotEqual(t, first, second)
}
