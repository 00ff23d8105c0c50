package fedctl

import (
	"context"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/flotilla-io/flotilla/api/names"
	"github.com/flotilla-io/flotilla/pkg/identity"
)

const (
	// tokenMemory is longer than API servers go on taking a token that is deleted: they remember for ten
	// seconds that it was good.
	tokenMemory = 11 * time.Second
	// settle is how long controllers and API servers may take to hear of a revocation.
	settle = 2 * time.Second
)

// shutOut makes nobody of a cluster's agent.
//
// A certificate that is signed after the revocation counts, whenever it was asked for. So what can still be
// asked for with a deleted token is waited for, requests are deleted until there are none, and what
// was signed until then is revoked, too.
func (l *leave) shutOut(ctx context.Context, f *cluster) error {
	tokens, err := deleteTokensOf(ctx, f, l.cluster)
	if err != nil {
		return err
	}
	if _, err = revoke(ctx, f, l.cluster); err != nil {
		return err
	}
	if err := l.pause(ctx, tokenMemory); err != nil {
		return fmt.Errorf("until the deleted tokens of cluster %s do not count: %w", l.cluster, err)
	}
	requests := 0
	for {
		n, err := deleteRequestsOf(ctx, f, l.cluster)
		if err != nil {
			return err
		}
		requests += n
		made, err := revoke(ctx, f, l.cluster)
		if err != nil {
			return err
		}
		// A certificate of the second of the revocation does not count either: whoever joins after this does.
		if err := l.pause(ctx, max(settle, made.at.Add(time.Second).Sub(f.clock.now()))); err != nil {
			return fmt.Errorf("until the revocation of cluster %s is known: %w", l.cluster, err)
		}
		if n > 0 {
			continue
		}
		l.say("Revoked the agent's certificates, and deleted %s and %s", plural(tokens, "token"), plural(requests, "certificate request"))
		if made.later != "" {
			l.warn("ConfigMap kube-system/%s has %s for cluster %s, which is not before now, and stays: until then no certificate of its agent counts. Set a time in RFC 3339 there if that is wrong",
				names.RevokedAgents, made.later, l.cluster)
		}
		return nil
	}
}

// revocation is what was written down.
type revocation struct {
	at time.Time
	// later is the text that was there and stays, as it revokes more.
	later string
}

// revoke makes certificates of an agent void that were issued up to now. It never makes any good again.
func revoke(ctx context.Context, f *cluster, name string) (revocation, error) {
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: names.RevokedAgents}}
	var made revocation
	err := retry.OnError(retry.DefaultBackoff, func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
	}, func() error {
		_, err := controllerutil.CreateOrUpdate(ctx, f, config, func() error {
			if config.Data == nil {
				config.Data = map[string]string{}
			}
			made = revocation{at: f.clock.now()} // after the read, which has brought the server's time
			if text, ok := config.Data[name]; ok && !before(text, made.at) {
				made.later = fmt.Sprintf("%q", text)
				return nil
			}
			config.Data[name] = identity.Format(made.at)
			return nil
		})
		return err
	})
	if err != nil {
		return made, fmt.Errorf("revoke the certificates of cluster %s, ConfigMap kube-system/%s: %w", name, names.RevokedAgents, err)
	}
	return made, nil
}

// before tells whether a revocation is from before a time. One that cannot be read revokes everything.
func before(text string, at time.Time) bool {
	then, err := time.Parse(time.RFC3339, text)
	return err == nil && !then.After(at)
}

// deleteRequestsOf deletes the certificate requests that would make somebody the agent of a cluster, whoever
// made them and by which name.
func deleteRequestsOf(ctx context.Context, f client.Client, cluster string) (int, error) {
	list := &certificatesv1.CertificateSigningRequestList{}
	if err := f.List(ctx, list); err != nil {
		return 0, fmt.Errorf("certificate requests of the federation: %w", err)
	}
	n := 0
	for i := range list.Items {
		request := &list.Items[i]
		// What cannot be read cannot be signed either.
		if claimed, _, err := identity.RequestOf(request).Claim(); err != nil || claimed != cluster {
			continue
		}
		if err := client.IgnoreNotFound(f.Delete(ctx, request)); err != nil {
			return n, fmt.Errorf("certificate request %s of cluster %s: %w", request.Name, cluster, err)
		}
		n++
	}
	return n, nil
}
