package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/pkg/apiserver/encryption"
	"github.com/flotilla-io/flotilla/pkg/apiserver/etcd"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// datastore is the part of etcd that is the federation's.
type datastore struct {
	client *clientv3.Client
	prefix string // ends in a slash
}

func (o *Options) datastore(servers []string) (datastore, error) {
	client, err := etcd.Dial(servers, o.EtcdCAFile, o.EtcdCertFile, o.EtcdKeyFile)
	// As the storage of Kubernetes builds its keys.
	return datastore{client: client, prefix: strings.TrimSuffix(path.Join("/", o.EtcdPrefix), "/") + "/"}, err
}

func (d datastore) close() { _ = d.client.Close() } // what was written was answered

// visit goes through what is below a path.
func (d datastore) visit(ctx context.Context, below string, visit func(string, []byte) bool) error {
	return etcd.Each(ctx, d.client, d.prefix+below, visit)
}

// ensureEncryption makes the key of encryption at rest, or makes sure that the one
// that is there fits the data.
func (o *Options) ensureEncryption(ctx context.Context, d datastore) error {
	stored := encryption.Datastore{Visit: d.visit, Mark: d.prefix + "flotilla.io/encryption"}
	stored.Swap = func(ctx context.Context, old, next []byte) ([]byte, error) {
		return etcd.Swap(ctx, d.client, stored.Mark, old, next)
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

// refuseNewAuthorities is for a datastore whose CAs and keys are lost: others trust
// them, and new ones would be made. Without the key of service accounts nothing was
// made here yet, or it is gone; a CA alone is moved away by who wants a new one.
func (o *Options) refuseNewAuthorities(ctx context.Context, d datastore) error {
	dir, made := o.pkiDir()
	if !made {
		return nil
	}
	_, err := os.Stat(filepath.Join(dir, "sa.key"))
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	found := ""
	err = d.visit(ctx, "", func(key string, _ []byte) bool {
		found = key
		return false
	})
	if err != nil {
		return fmt.Errorf("look for a federation in the datastore: %w", err)
	}
	if found != "" {
		return fmt.Errorf("%s has no sa.key, and the datastore belongs to a federation (%s is in it): put the directory back, from a backup or from another API server; new keys would cut off every agent and every account: %w", dir, found, pki.ErrKeyLost)
	}
	return nil
}
