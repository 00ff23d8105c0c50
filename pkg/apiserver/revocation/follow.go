package revocation

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/identity"
)

// Run follows the ConfigMap until ctx ends.
func (g *Guard) Run(ctx context.Context, client kubernetes.Interface) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(metav1.NamespaceSystem),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, names.RevokedAgents).String()
		}))
	informer := factory.Core().V1().ConfigMaps().Informer()
	following, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { g.take(ctx, obj) },
		UpdateFunc: func(_, obj any) { g.take(ctx, obj) },
		DeleteFunc: func(any) {
			klog.FromContext(ctx).Info("Nothing is revoked any more: the ConfigMap is deleted", "configMap", klog.KRef(metav1.NamespaceSystem, names.RevokedAgents))
			g.set(identity.Revocations{})
		},
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if cache.WaitForCacheSync(ctx.Done(), following.HasSynced) {
		g.begin() // there may be no ConfigMap
	}
	<-ctx.Done()
	return nil
}

func (g *Guard) take(ctx context.Context, obj any) {
	configMap, ok := obj.(*corev1.ConfigMap)
	if !ok || configMap.Name != names.RevokedAgents {
		return
	}
	revocations, err := identity.ParseRevocations(configMap.Data)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Revocations cannot be read", "configMap", klog.KObj(configMap))
	}
	g.set(revocations)
}
