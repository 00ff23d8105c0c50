package encryption

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
)

var (
	// ErrKeyLost means that there is something in the datastore that needs a key,
	// and the key is not there.
	ErrKeyLost = errors.New("key of encryption at rest lost")
	// ErrMissing means that a file that somebody else has to bring is not there.
	ErrMissing = errors.New("file of encryption at rest missing")
)

// encrypted begins every value that a provider of Kubernetes has encrypted.
const encrypted = "k8s:enc:"

// localKeys begin values whose key is in the file itself, not in a KMS that may be
// away for a while.
var localKeys = []string{encrypted + "secretbox:", encrypted + "aesgcm:", encrypted + "aescbc:"}

// samples is how many Secrets are tried with the keys at a start.
const samples = 100

// Datastore visits the values of keys below a path of the API server's prefix, such
// as "secrets/", until visit returns false.
type Datastore func(ctx context.Context, path string, visit func(key string, data []byte) bool) error

// Ensure makes sure that the file at path is there and fits what is stored. It is
// made, with create, if nothing in the datastore is encrypted; create nil is for a
// file that is somebody else's to bring.
func Ensure(ctx context.Context, path string, create func(data []byte) error, stored Datastore) error {
	_, err := os.Stat(path)
	switch {
	case err == nil:
		return fits(ctx, path, stored)
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("encryption at rest: %w", err)
	case create == nil:
		return fmt.Errorf("%s is not there: put it there; \"apiserver credentials\" makes it in a Secret: %w", path, ErrMissing)
	}
	found := ""
	err = stored(ctx, "", func(key string, data []byte) bool {
		if bytes.HasPrefix(data, []byte(encrypted)) {
			found = key
		}
		return found == ""
	})
	if err != nil {
		return fmt.Errorf("encryption at rest: look for what is encrypted: %w", err)
	}
	if found != "" {
		return fmt.Errorf("%s is not there, and %s in the datastore is encrypted, maybe more: put the file back, from a backup or from another API server; a new key could not read it: %w", path, found, ErrKeyLost)
	}
	data, err := NewConfig()
	if err != nil {
		return err
	}
	if err := create(data); err != nil {
		return fmt.Errorf("encryption at rest: write %s: %w", path, err)
	}
	return nil
}

// fits tries the keys on some Secrets. If none can be read, the file is another
// federation's. A single one that cannot is damaged, and no reason not to start.
func fits(ctx context.Context, path string, stored Datastore) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var transformer value.Transformer
	var load, last error
	tried, readable := 0, false
	err := stored(ctx, "secrets/", func(key string, data []byte) bool {
		if !local(data) {
			return true
		}
		if transformer == nil {
			if transformer, load = secretsTransformer(ctx, path); load != nil {
				return false
			}
		}
		tried++
		if _, _, err := transformer.TransformFromStorage(ctx, data, value.DefaultContext(key)); err != nil {
			last = fmt.Errorf("%s: %w", key, err)
		} else {
			readable = true
		}
		return !readable && tried < samples
	})
	switch {
	case err != nil:
		return fmt.Errorf("encryption at rest: try %s: %w", path, err)
	case load != nil:
		return load
	case tried > 0 && !readable:
		return fmt.Errorf("no key in %s can read the Secrets in the datastore (the last one tried is %w): put the file back that they were written with: %w", path, last, ErrKeyLost)
	}
	return nil
}

func local(data []byte) bool {
	for _, prefix := range localKeys {
		if strings.HasPrefix(string(data[:min(len(data), len(prefix))]), prefix) {
			return true
		}
	}
	return false
}

func secretsTransformer(ctx context.Context, path string) (value.Transformer, error) {
	config, err := encryptionconfig.LoadEncryptionConfig(ctx, path, false, "")
	if err != nil {
		return nil, fmt.Errorf("encryption at rest: %w", err)
	}
	return encryptionconfig.StaticTransformers(config.Transformers).TransformerForResource(schema.GroupResource{Resource: "secrets"}), nil
}
