package apiserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/pkg/apiserver/roles"
)

const (
	// clusterInfoKey has a kubeconfig without a user, as kubeadm's ConfigMap of
	// this name does.
	clusterInfoKey   = "kubeconfig"
	clusterInfoRetry = time.Second
)

// clusterInfo publishes where the federation is and which CA it has, in the
// ConfigMap kube-public/cluster-info, and keeps it there. Whoever joins reads it
// before he trusts anything, and believes the CA if it has the hash he was told.
//
// A start writes this server's address. Afterwards only what would lead joiners
// astray is set right: with several servers that advertise different addresses, two
// that insist would write for ever.
type clusterInfo struct {
	client kubernetes.Interface
	server string
	ca     []byte
	wake   chan struct{}
}

func newClusterInfo(client kubernetes.Interface, configMaps corev1informers.ConfigMapInformer, server, caFile string) (*clusterInfo, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	c := &clusterInfo{client: client, server: server, ca: ca, wake: make(chan struct{}, 1)}
	changed := func(obj any) {
		if name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil && name == metav1.NamespacePublic+"/"+roles.ClusterInfo {
			select {
			case c.wake <- struct{}{}:
			default: // it will look anyway
			}
		}
	}
	_, err = configMaps.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, now any) { changed(now) }, DeleteFunc: changed,
	})
	return c, err
}

// run keeps the ConfigMap until ctx ends.
func (c *clusterInfo) run(ctx context.Context) {
	announce := true
	for {
		err := c.ensure(ctx, announce)
		if err == nil {
			announce = false
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
				continue
			}
		}
		// Right after the first start, the namespace is not there yet.
		if ctx.Err() == nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			klog.FromContext(ctx).Error(err, "Agents cannot join with a token until this is published", "configMap", klog.KRef(metav1.NamespacePublic, roles.ClusterInfo))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(clusterInfoRetry):
		}
	}
}

// ensure writes the ConfigMap unless it is good. With announce, another server's
// address is not good.
func (c *clusterInfo) ensure(ctx context.Context, announce bool) error {
	configMaps := c.client.CoreV1().ConfigMaps(metav1.NamespacePublic)
	there, err := configMaps.Get(ctx, roles.ClusterInfo, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	if !missing && c.good(there.Data[clusterInfoKey], announce) {
		return nil
	}
	data, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"": {Server: c.server, CertificateAuthorityData: c.ca}},
	})
	if err != nil {
		return fmt.Errorf("encode %s: %w", roles.ClusterInfo, err)
	}
	if missing {
		_, err = configMaps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: roles.ClusterInfo}, Data: map[string]string{clusterInfoKey: string(data)},
		}, metav1.CreateOptions{})
		return err
	}
	there = there.DeepCopy()
	if there.Data == nil {
		there.Data = map[string]string{}
	}
	// Signatures for tokens beside it are the bootstrap signer's.
	there.Data[clusterInfoKey] = string(data)
	_, err = configMaps.Update(ctx, there, metav1.UpdateOptions{})
	return err
}

func (c *clusterInfo) good(kubeconfig string, announce bool) bool {
	config, err := clientcmd.Load([]byte(kubeconfig))
	if err != nil || len(config.Clusters) != 1 {
		return false
	}
	for _, cluster := range config.Clusters {
		if !bytes.Equal(cluster.CertificateAuthorityData, c.ca) || cluster.Server == "" || announce && cluster.Server != c.server {
			return false
		}
	}
	return true
}
