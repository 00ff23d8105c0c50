package main

import (
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/flotilla-io/flotilla/pkg/controlplane"
	"github.com/flotilla-io/flotilla/pkg/scheduler"
)

// embedded is who holds the leases where etcd runs in this process: there is one at
// a time, which need not wait for itself after it was killed.
const embedded = "all-in-one"

// elect has the manager wait until neither another all-in-one process nor a
// controller-manager or a scheduler of its own is at work. It takes the leases of
// both: who goes from one way of running them to the other runs both for a while.
func elect(opts ctrl.Options, leases coordinationv1client.LeasesGetter, identity string) ctrl.Options {
	lock := func(name string) resourcelock.Interface {
		return &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: name},
			Client:     leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		}
	}
	opts.LeaderElection = true
	opts.LeaderElectionReleaseOnCancel = true
	opts.LeaderElectionResourceLockInterface = &resourcelock.MultiLock{Primary: lock(controlplane.LeaseName), Secondary: lock(scheduler.LeaseName)}
	if identity == embedded {
		// Nobody waits to take over, so there is no hurry: fewer writes, and a slow
		// disk does not end the process.
		opts.LeaseDuration, opts.RenewDeadline, opts.RetryPeriod = ptr.To(2*time.Minute), ptr.To(90*time.Second), ptr.To(15*time.Second)
	}
	return opts
}

// identity is this process's name in the leases.
func identity(external bool) string {
	if !external {
		return embedded
	}
	host, err := os.Hostname()
	if err != nil {
		host = embedded
	}
	return host + "_" + string(uuid.NewUUID())
}
