package credentials

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"

	"github.com/flotilla-io/flotilla/pkg/apiserver/encryption"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// Options say where things go.
type Options struct {
	// Namespace is where the Secrets are.
	Namespace string
	// PKISecret holds ca.crt, ca.key, front-proxy-ca.crt, front-proxy-ca.key,
	// sa.key, sa.pub and encryption.yaml.
	PKISecret string
	// KubeconfigSecret holds the administrator's kubeconfig under the key
	// kubeconfig. Those of the components are called after it, with their names
	// before "kubeconfig": flotilla-kubeconfig, flotilla-scheduler-kubeconfig.
	KubeconfigSecret string
	// Server is the URL the kubeconfigs name.
	Server string
	// PublicServer is the one that the administrator's names instead, where people
	// reach the federation at another one than its components. Empty for Server.
	PublicServer string
	// RenewOnly keeps kubeconfigs good and makes neither a CA nor a key: what is
	// missing of those is an error.
	RenewOnly bool
}

// Validate reports every option that cannot work.
func (o Options) Validate() error {
	var errs []error
	for flag, name := range map[string]string{"--namespace": o.Namespace, "--pki-secret": o.PKISecret, "--kubeconfig-secret": o.KubeconfigSecret} {
		for _, wrong := range validation.IsDNS1123Subdomain(name) {
			errs = append(errs, fmt.Errorf("%s %q: %s", flag, name, wrong))
		}
	}
	if o.PKISecret == o.KubeconfigSecret {
		errs = append(errs, errors.New("--pki-secret and --kubeconfig-secret are the same: the kubeconfig is for more people than the keys"))
	}
	for flag, server := range map[string]string{"--server": o.Server, "--public-url": cmp.Or(o.PublicServer, o.Server)} {
		if u, err := url.Parse(server); err != nil || u.Scheme != "https" || u.Host == "" {
			errs = append(errs, fmt.Errorf("%s %q: want https://host:port, as clients reach the federation", flag, server))
		}
	}
	return errors.Join(errs...)
}

// ErrNoEncryptionKey means that the key of encryption at rest is lost.
var ErrNoEncryptionKey = errors.New("key of encryption at rest lost")

// kubeconfigKey is the key in the Secrets that hold one.
const kubeconfigKey = "kubeconfig"

// Ensure makes what is missing and renews what is about to end.
func Ensure(ctx context.Context, secrets corev1client.SecretsGetter, opts Options, now time.Time) error {
	if err := opts.Validate(); err != nil {
		return err
	}
	w := writer{client: secrets.Secrets(opts.Namespace), namespace: opts.Namespace}
	// In this order: whoever is at it at the same time makes the authorities first.
	signed, err := w.first(ctx, opts)
	if err != nil {
		return err
	}
	var authorities map[string][]byte
	err = w.ensure(ctx, opts.PKISecret, func(data map[string][]byte) (err error) {
		if err = lost(opts, data, signed); err != nil {
			return err
		}
		if err = complete(opts.Namespace+"/"+opts.PKISecret, data, now); err == nil {
			authorities = maps.Clone(data)
		}
		return err
	})
	if err != nil {
		return err
	}
	ca, err := pki.Parse(opts.PKISecret+"/ca", authorities["ca.crt"], authorities["ca.key"])
	if err != nil {
		return err
	}
	for _, client := range pki.Clients() {
		err := w.ensure(ctx, opts.secretOf(client), func(data map[string][]byte) error {
			return ensureKubeconfig(data, authorities["ca.crt"], ca, client, opts.serverFor(client), now)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// secretOf is the name of the Secret with a client's kubeconfig.
func (o Options) secretOf(client pki.Client) string {
	if client.Leaf.CommonName == pki.AdminUser {
		return o.KubeconfigSecret
	}
	if prefix, ok := strings.CutSuffix(o.KubeconfigSecret, "kubeconfig"); ok {
		return prefix + client.Name + "-kubeconfig"
	}
	return o.KubeconfigSecret + "-" + client.Name
}

// serverFor is the URL that a client reaches the federation at.
func (o Options) serverFor(client pki.Client) string {
	if client.Leaf.CommonName == pki.AdminUser {
		return cmp.Or(o.PublicServer, o.Server)
	}
	return o.Server
}

// lost refuses to make anew what others trust already: that something was signed
// shows in signed, the name of a Secret with a kubeconfig.
func lost(opts Options, data map[string][]byte, signed string) error {
	for _, key := range []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key"} {
		switch {
		case len(data[key]) > 0:
		case signed != "":
			return fmt.Errorf("%s is not there, but the federation has been set up before (there is the Secret %s): put Secret %s/%s back from a copy; new keys would cut off every agent and read nothing of what is encrypted. To begin anew, with another datastore, delete Secret %s and its like first: %w",
				key, signed, opts.Namespace, opts.PKISecret, signed, pki.ErrKeyLost)
		case opts.RenewOnly:
			return fmt.Errorf("%s is not there, and --renew-only makes none: put Secret %s/%s back from a copy; for a new federation, run this without --renew-only, as installation and upgrade do: %w",
				key, opts.Namespace, opts.PKISecret, pki.ErrKeyLost)
		}
	}
	return nil
}

// complete adds what the Secret of authorities lacks.
func complete(name string, data map[string][]byte, now time.Time) error {
	// Service account keys come first with encryption's, so a Secret with one
	// and without the other has lost something.
	used := len(data["sa.key"]) > 0
	if err := pki.CompleteAuthorities("secret "+name, data, now); err != nil {
		return err
	}
	if len(data[encryption.FileName]) > 0 {
		return nil
	}
	if used {
		return fmt.Errorf("secret %s has no %s, and a new key could not read the Secrets that are encrypted: put it back; for a federation that never encrypted, put in one with the provider identity alone: %w",
			name, encryption.FileName, ErrNoEncryptionKey)
	}
	var err error
	data[encryption.FileName], err = encryption.NewConfig()
	return err
}

// writer makes Secrets what they should be.
type writer struct {
	client    corev1client.SecretInterface
	namespace string
}

// first is the name of the first Secret with a kubeconfig that is there, if any.
func (w writer) first(ctx context.Context, opts Options) (string, error) {
	for _, client := range pki.Clients() {
		name := opts.secretOf(client)
		_, err := w.client.Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			return name, nil
		}
		if !apierrors.IsNotFound(err) {
			return "", fmt.Errorf("secret %s/%s: %w", w.namespace, name, err)
		}
	}
	return "", nil
}

// ensure has change look at a Secret's data and writes what it changed. When
// somebody else was faster, change sees what is there then.
func (w writer) ensure(ctx context.Context, name string, change func(map[string][]byte) error) error {
	raced := func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}
	err := retry.OnError(retry.DefaultBackoff, raced, func() error { return w.once(ctx, name, change) })
	if err != nil {
		return fmt.Errorf("secret %s/%s: %w", w.namespace, name, err)
	}
	return nil
}

func (w writer) once(ctx context.Context, name string, change func(map[string][]byte) error) error {
	logger := klog.FromContext(ctx)
	secret, err := w.client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{}}
		if err := change(secret.Data); err != nil {
			return err
		}
		if _, err = w.client.Create(ctx, secret, metav1.CreateOptions{}); err == nil {
			logger.Info("Created a Secret", "secret", klog.KRef(w.namespace, name))
		}
		return err
	}
	if err != nil {
		return err
	}
	before := secret.Data
	secret.Data = maps.Clone(before)
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	if err := change(secret.Data); err != nil {
		return err
	}
	if maps.EqualFunc(before, secret.Data, bytes.Equal) {
		logger.Info("Left a Secret as it is", "secret", klog.KRef(w.namespace, name))
		return nil
	}
	if _, err = w.client.Update(ctx, secret, metav1.UpdateOptions{}); err == nil {
		logger.Info("Updated a Secret", "secret", klog.KRef(w.namespace, name))
	}
	return err
}
