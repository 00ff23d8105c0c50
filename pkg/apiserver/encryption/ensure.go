package encryption

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
)

var (
	// ErrKeyLost means that there is something in the datastore that needs a key,
	// and the key is not there.
	ErrKeyLost = errors.New("key of encryption at rest lost")
	// ErrMissing means that a file that somebody else has to bring is not there.
	ErrMissing = errors.New("file of encryption at rest missing")
	// ErrOtherKeys means that the API servers of one federation have different keys.
	ErrOtherKeys = errors.New("keys of encryption at rest are not those of this datastore")
)

// Datastore is what the keys have to fit.
type Datastore struct {
	// Visit goes through what is stored below a path of the API server's prefix, such
	// as "secrets/", until visit returns false.
	Visit func(ctx context.Context, below string, visit func(key string, data []byte) bool) error
	// Mark is the key of a value that is nobody's object: something that is encrypted
	// as a Secret, for the next server to try its keys on. See Swap.
	Mark string
	// Swap puts next at Mark if old is there, nil for nothing, and returns what is
	// there then.
	Swap func(ctx context.Context, old, next []byte) ([]byte, error)
}

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
	err = stored.Visit(ctx, "", func(key string, data []byte) bool {
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
	// Another server may have made one for itself at the same time.
	return fits(ctx, path, stored)
}

// fits makes sure that the keys read what is stored, and that every other server of
// this datastore has them.
func fits(ctx context.Context, path string, stored Datastore) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a KMS is asked in the background
	keys, err := load(ctx, path)
	if err != nil {
		return err
	}
	tried, err := keys.try(ctx, stored)
	if err != nil {
		return fmt.Errorf("encryption at rest: try %s: %w", path, err)
	}
	if err := tried.verdict(ctx, path); err != nil {
		return err
	}
	return keys.mark(ctx, path, stored, tried)
}
