package encryption

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/klog/v2"
)

// encrypted begins every value that a provider of Kubernetes has encrypted.
const encrypted = "k8s:enc:"

// localKeys begin values whose key is in the file itself, not in a KMS that may be
// away for a while.
var localKeys = []string{encrypted + "secretbox:", encrypted + "aesgcm:", encrypted + "aescbc:"}

var (
	secrets = schema.GroupResource{Resource: "secrets"}
	works   = schema.GroupResource{Group: "work.karmada.io", Resource: "works"}
)

// keys are those of a file.
type keys struct {
	byResource encryptionconfig.StaticTransformers
	// kms says that there is one, which is not asked before anything is served.
	kms bool
}

func load(ctx context.Context, path string) (keys, error) {
	config, err := encryptionconfig.LoadEncryptionConfig(ctx, path, false, "")
	if err != nil {
		return keys{}, fmt.Errorf("encryption at rest: %s: %w", path, err)
	}
	return keys{byResource: config.Transformers, kms: len(config.HealthChecks) > 0}, nil
}

// trial is what came of trying keys.
type trial struct {
	read, failed int
	last         error // the last failure
}

// try reads everything that is encrypted with a key of such a file, among the kinds
// that new federations encrypt and those that this file names.
func (k keys) try(ctx context.Context, stored Datastore) (trial, error) {
	var t trial
	for _, below := range k.paths() {
		err := stored.Visit(ctx, below, func(key string, data []byte) bool {
			if !local(data) || key == stored.Mark {
				return true
			}
			if err := k.readable(ctx, below, key, data); err != nil {
				t.failed++
				t.last = fmt.Errorf("%s: %w", key, err)
			} else {
				t.read++
			}
			return ctx.Err() == nil
		})
		if err != nil {
			return t, err
		}
	}
	return t, ctx.Err()
}

// paths are where to look, as the storage of Kubernetes builds its keys: built-in
// kinds by their resource alone.
func (k keys) paths() []string {
	paths := map[string]bool{secrets.Resource + "/": true, works.Group + "/" + works.Resource + "/": true}
	for resource := range k.byResource {
		if resource.Resource == "*" {
			return []string{""}
		}
		paths[resource.Resource+"/"] = true
		if resource.Group != "" {
			paths[resource.Group+"/"+resource.Resource+"/"] = true
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

func (k keys) readable(ctx context.Context, below, key string, data []byte) error {
	var err error
	for _, transformer := range k.of(below, key) {
		if _, _, err = transformer.TransformFromStorage(ctx, data, value.DefaultContext(key)); err == nil {
			return nil
		}
	}
	return err
}

// of is what may read a key. Which group a built-in kind is in cannot be seen from
// its key, so all are tried.
func (k keys) of(below, key string) []value.Transformer {
	if below == "" {
		for _, resource := range []schema.GroupResource{secrets, works} {
			if path := strings.TrimPrefix(resource.Group+"/"+resource.Resource+"/", "/"); strings.Contains(key, "/"+path) {
				below = path
			}
		}
	}
	switch below {
	case secrets.Resource + "/":
		return []value.Transformer{k.byResource.TransformerForResource(secrets)}
	case works.Group + "/" + works.Resource + "/":
		return []value.Transformer{k.byResource.TransformerForResource(works)}
	}
	return slices.Collect(maps.Values(k.byResource))
}

// tolerated is how many values may be damaged: one must not keep a federation down.
const tolerated = 1

// verdict says whether these are the keys. If nothing can be read, the file is another
// federation's; if some cannot, one of its keys is missing.
func (t trial) verdict(ctx context.Context, path string) error {
	switch {
	case t.failed == 0:
		return nil
	case t.read == 0:
		return fmt.Errorf("no key in %s can read what is encrypted in the datastore (%d values; the last one tried is %w): put the file back that they were written with: %w", path, t.failed, t.last, ErrKeyLost)
	case t.failed > tolerated:
		return fmt.Errorf("the keys in %s cannot read %d of %d values that are encrypted in the datastore (the last one is %w): a key that was in the file is missing; put it back as a further one, or delete those values in etcd: %w", path, t.failed, t.failed+t.read, t.last, ErrKeyLost)
	}
	klog.FromContext(ctx).Error(t.last, "A value in the datastore is damaged, or its key is lost: reading it is an error until it is deleted in etcd", "file", path)
	return nil
}

// markText is what the mark says to whoever has its key.
const markText = "flotilla"

// mark compares the keys with those of the other servers of this datastore: who is
// first leaves a mark, who comes later has to be able to read it.
func (k keys) mark(ctx context.Context, path string, stored Datastore, tried trial) error {
	if k.kms {
		return nil
	}
	transformer, at := k.byResource.TransformerForResource(secrets), value.DefaultContext(stored.Mark)
	ours, err := transformer.TransformToStorage(ctx, []byte(markText), at)
	if err != nil {
		return fmt.Errorf("encryption at rest: try %s: %w", path, err)
	}
	there, err := stored.Swap(ctx, nil, ours)
	if err != nil {
		return fmt.Errorf("encryption at rest: compare keys with other servers: %w", err)
	}
	if bytes.Equal(there, ours) {
		return nil
	}
	text, stale, err := transformer.TransformFromStorage(ctx, there, at)
	switch known := err == nil && string(text) == markText; {
	case known && !stale:
		return nil
	case known, tried.read > 0 && tried.failed == 0:
		// The keys were changed since, in order: the new ones read everything.
		if _, err := stored.Swap(ctx, there, ours); err != nil {
			return fmt.Errorf("encryption at rest: compare keys with other servers: %w", err)
		}
		return nil
	}
	return fmt.Errorf("%s has other keys than another API server of this datastore: copy its file here; if there is none and the keys were replaced, delete the key %s in etcd: %w", path, stored.Mark, ErrOtherKeys)
}

func local(data []byte) bool {
	return slices.ContainsFunc(localKeys, func(prefix string) bool { return bytes.HasPrefix(data, []byte(prefix)) })
}
