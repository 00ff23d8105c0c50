package identity

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Bundle is what a Store keeps, in PEM. Certificate and Key belong together, or both are empty; CA are the
// certificates that the federation's server is verified with.
type Bundle struct {
	Certificate, Key, CA []byte
}

// Store keeps a Bundle over restarts.
type Store interface {
	// Load returns what was saved last, and an empty Bundle if nothing was.
	Load(ctx context.Context) (Bundle, error)
	// Save replaces what was saved before.
	Save(ctx context.Context, b Bundle) error
	// String names the place, for messages.
	String() string
}

// Files keeps a Bundle in a directory of that name, readable by its owner only.
type Files string

const (
	pairFile = "agent.pem" // key and certificate in one file: they change together
	caFile   = "ca.crt"
)

var _ Store = Files("")

// String implements Store, as do the methods below.
func (f Files) String() string { return "directory " + string(f) }

// Load reads the files.
func (f Files) Load(context.Context) (Bundle, error) {
	pair, err := f.read(pairFile)
	if err != nil {
		return Bundle{}, err
	}
	ca, err := f.read(caFile)
	if err != nil {
		return Bundle{}, err
	}
	// The parts are found by the types of their blocks.
	return Bundle{Certificate: pair, Key: pair, CA: ca}, nil
}

func (f Files) read(name string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(string(f), name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("agent identity: %w", err)
	}
	return raw, nil
}

// Save writes the files, durably, each by rename.
func (f Files) Save(_ context.Context, b Bundle) error {
	err := os.MkdirAll(string(f), 0o700)
	if err == nil {
		err = os.Chmod(string(f), 0o700)
	}
	if err == nil {
		err = f.write(caFile, b.CA)
	}
	if err == nil && len(b.Certificate) > 0 {
		err = f.write(pairFile, append(append([]byte{}, b.Key...), b.Certificate...))
	}
	if err != nil {
		return fmt.Errorf("agent identity: %w", err)
	}
	return nil
}

func (f Files) write(name string, content []byte) (err error) {
	file, err := os.CreateTemp(string(f), ".tmp-"+name+"-") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(string(f), name))
}
