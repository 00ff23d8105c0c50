package istiolab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// caSecret has the CA that istiod signs with, and the mesh's root.
	caSecret = "cacerts"
	// MountInterval is how long a change of Secret cacerts takes to the files.
	MountInterval = 200 * time.Millisecond
	// current is the link that a kubelet moves when a mounted Secret changes.
	current = "..data"
)

// mount keeps a directory as a kubelet keeps an optional Secret that is mounted:
// each key is a link into a directory that is replaced as a whole.
type mount struct {
	client          kubernetes.Interface
	namespace, name string
	dir             string
	version         string

	stop context.CancelFunc
	done sync.WaitGroup

	mu sync.Mutex
	// held is true while the files stay as they are.
	held bool
	// failed is why the last update did not work, if it did not.
	failed error
}

// mountSecret mounts a Secret as for a new pod. It is there when it returns, if
// there is one.
func mountSecret(ctx context.Context, client kubernetes.Interface, namespace, name, dir string) (*mount, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	m := &mount{client: client, namespace: namespace, name: name, dir: dir}
	if err := m.update(ctx); err != nil {
		return nil, err
	}
	// It ends with unmount, not with the context of who starts istiod.
	ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	m.done.Go(func() {
		ticker := time.NewTicker(MountInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				// The files stay as they are when the member is away, as on a node.
				m.mu.Lock()
				held := m.held
				m.mu.Unlock()
				if held {
					continue
				}
				err := m.update(ctx)
				m.mu.Lock()
				m.failed = err
				m.mu.Unlock()
			}
		}
	})
	return m, nil
}

// err is why the files are not what the Secret has.
func (m *mount) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// HoldCA keeps the files of istiod's CA as they are, as a kubelet that is slow does, until
// it is let go of or istiod is started again.
func (i *Istiod) HoldCA(hold bool) {
	i.mount.mu.Lock()
	defer i.mount.mu.Unlock()
	i.mount.held = hold
}

func (m *mount) unmount() {
	m.stop()
	m.done.Wait()
}

func (m *mount) update(ctx context.Context) error {
	secret, err := m.client.CoreV1().Secrets(m.namespace).Get(ctx, m.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading Secret %s/%s to mount: %w", m.namespace, m.name, err)
	}
	if secret.ResourceVersion == m.version {
		return nil
	}
	if err := m.write(secret.Data); err != nil {
		return fmt.Errorf("mounting Secret %s/%s: %w", m.namespace, m.name, err)
	}
	m.version = secret.ResourceVersion
	return nil
}

func (m *mount) write(data map[string][]byte) error {
	target, err := os.MkdirTemp(m.dir, "..")
	if err != nil {
		return err
	}
	for key, value := range data {
		if err := os.WriteFile(filepath.Join(target, key), value, 0o600); err != nil {
			return err
		}
	}
	link := filepath.Join(m.dir, current)
	before, err := os.Readlink(link)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Base(target), link+"_tmp"); err != nil {
		return err
	}
	if err := os.Rename(link+"_tmp", link); err != nil {
		return err
	}
	for key := range data {
		err := os.Symlink(filepath.Join(current, key), filepath.Join(m.dir, key))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if before == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(m.dir, before))
}
