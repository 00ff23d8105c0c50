package etcd

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	// dialTimeout is how long an etcd that does not answer is waited for.
	dialTimeout = 20 * time.Second
	// pageSize is how many keys are read at a time.
	pageSize = 500
)

// Dial connects to an etcd, embedded or external. Files may be empty.
func Dial(servers []string, caFile, certFile, keyFile string) (*clientv3.Client, error) {
	cfg := clientv3.Config{Endpoints: servers, DialTimeout: dialTimeout, Logger: zap.NewNop()}
	if caFile != "" || certFile != "" {
		info := transport.TLSInfo{TrustedCAFile: caFile, CertFile: certFile, KeyFile: keyFile}
		tlsConfig, err := info.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("certificates for etcd: %w", err)
		}
		cfg.TLS = tlsConfig
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("etcd %q: %w", servers, err)
	}
	return client, nil
}

// Each visits the keys that begin with prefix, in order, until visit returns false.
func Each(ctx context.Context, client *clientv3.Client, prefix string, visit func(key string, value []byte) bool) error {
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		page, err := get(ctx, client, from, end)
		if err != nil {
			return fmt.Errorf("read %s in etcd: %w", prefix, err)
		}
		for _, kv := range page.Kvs {
			if !visit(string(kv.Key), kv.Value) {
				return nil
			}
		}
		if !page.More {
			return nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

func get(ctx context.Context, client *clientv3.Client, from, end string) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize))
}
