package apiserver

import (
	"context"
	"path"
	"strings"

	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/pkg/apiserver/encryption"
	"github.com/flotilla-io/flotilla/pkg/apiserver/etcd"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// ensureEncryption makes the key of encryption at rest, or makes sure that the one
// that is there fits the data.
func (o *Options) ensureEncryption(ctx context.Context, servers []string) error {
	client, err := etcd.Dial(servers, o.EtcdCAFile, o.EtcdCertFile, o.EtcdKeyFile)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // nothing was written
	stored := func(ctx context.Context, below string, visit func(string, []byte) bool) error {
		// As the storage of Kubernetes builds its keys.
		return etcd.Each(ctx, client, strings.TrimSuffix(path.Join("/", o.EtcdPrefix), "/")+"/"+below, visit)
	}
	file, made := o.encryptionConfig()
	if !made {
		return encryption.Ensure(ctx, file, nil, stored)
	}
	return encryption.Ensure(ctx, file, func(data []byte) error {
		klog.FromContext(ctx).Info("Secrets are encrypted with a new key from now on: keep a copy of it apart from the data", "file", file)
		return pki.WriteFile(file, data, 0o600)
	}, stored)
}
