package reader

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/meshlink/remotesecret"
)

// prefix begins the names of these Secrets.
const prefix = remotesecret.ReaderName + "-"

const (
	// lookAfter is how long the federation may take to take a token in before it is asked
	// whether it still has it.
	lookAfter = 30 * time.Second
	// faultPause and lossPause are how long no token is made after a fault, and after one
	// was made again for a federation that had lost it, at first and at most.
	faultPause, maxFaultPause = 5 * time.Second, time.Minute
	lossPause, maxLossPause   = lookAfter, 10 * time.Minute
)

// Member is the cluster.
type Member interface {
	// ServiceAccount of istio-system.
	ServiceAccount(ctx context.Context, name string) (*corev1.ServiceAccount, error)
	// SecretMetadata is that of Secrets of istio-system with a label, as it is now.
	SecretMetadata(ctx context.Context, selector string) ([]metav1.PartialObjectMetadata, error)
	// CreateSecret in istio-system.
	CreateSecret(ctx context.Context, secret *corev1.Secret) (*corev1.Secret, error)
	// PatchSecret of istio-system by a merge patch.
	PatchSecret(ctx context.Context, name string, patch []byte) error
	// DeleteSecret of istio-system, if it is that one.
	DeleteSecret(ctx context.Context, name string, uid types.UID) error
	// CreateToken for a ServiceAccount of istio-system.
	CreateToken(ctx context.Context, account string, request *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error)
	// CA of its API server, PEM.
	CA(ctx context.Context) ([]byte, error)
}

// Federation is where tokens are delivered: the Secret of this cluster and mesh.
type Federation interface {
	// Put makes the Secret what it is to be.
	Put(ctx context.Context, data map[string][]byte) error
	// Get reads it; IsNotFound when there is none.
	Get(ctx context.Context) (map[string][]byte, error)
	// Delete removes it; none is no error.
	Delete(ctx context.Context) error
}

// Keeper keeps the tokens of one mesh.
type Keeper struct {
	// Mesh is the name of the mesh.
	Mesh string
	// Server is the URL at which peers reach the cluster if the mesh names none; empty
	// when none is known.
	Server     string
	Member     Member
	Federation Federation
	Now        func() time.Time

	// pending is a token that was made, and not delivered yet.
	pending *made
	// looked is when the federation was last asked whether it has the newest.
	looked time.Time
	// emptied is true once the federation's Secret was removed.
	emptied bool
	// abandoned are Secrets of tokens that were not made to the end. Nobody has these.
	abandoned map[string]bool
	// failed is why no token could be made last.
	failed error
	// faults and losses are pauses after failing to make one, and after one was lost.
	faults, losses pause
}

// pause is a time in which something is not done, each longer than the last.
type pause struct {
	until time.Time
	long  time.Duration
}

func (p *pause) begin(now time.Time, least, most time.Duration) {
	p.long = min(max(2*p.long, least), most)
	p.until = now.Add(p.long)
}

// made is a token, and what is remembered of it.
type made struct {
	secret *remotesecret.Token
	Token
}

// good tells whether a token that was not delivered is still what is wanted.
func (m *made) good(wanted *Wanted, now time.Time) bool {
	why, _ := due(&m.Token, wanted, now)
	return why == ""
}

// Errors of Keep.
var (
	// ErrNoAccount means that the ServiceAccount is not there yet.
	ErrNoAccount = errors.New("the ServiceAccount of the reader is not there")
	// ErrNoServer means that nobody has said where peers reach the API server.
	ErrNoServer = errors.New("it is not known where peers reach the API server")
	// ErrUseless means that peers could not use a token.
	ErrUseless = errors.New("peers could not use a token")
	// ErrUnseen means that it is not known which tokens there are.
	ErrUnseen = errors.New("tokens of the reader cannot be seen")
)

// Keep makes true what is wanted, and returns the token that peers are to use and when to
// look again at the latest; nil and zero when there is none. Without spec all tokens are
// ended.
func (k *Keeper) Keep(ctx context.Context, spec *meshv1alpha1.MemberReader) (*meshv1alpha1.MemberToken, time.Time, error) {
	bound, err := k.bound(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	if spec == nil {
		return nil, time.Time{}, k.clear(ctx, bound)
	}
	k.emptied = false
	if err := k.sweep(ctx, bound); err != nil {
		return shown(Decide(tokens(bound), &Wanted{InUse: inUse(spec)}, k.Now()).Newest), time.Time{}, err
	}
	server := spec.Server
	if server == "" {
		server = k.Server
	}
	wanted, ca, err := k.wanted(ctx, spec, server)
	if err != nil {
		return shown(Decide(tokens(bound), &Wanted{InUse: inUse(spec)}, k.Now()).Newest), time.Time{}, err
	}
	plan := Decide(tokens(bound), wanted, k.Now())
	if k.pending != nil && !k.pending.good(wanted, k.Now()) {
		k.pending = nil
	}
	plan.Make = plan.Make || k.pending != nil
	if plan.Seen {
		k.losses = pause{}
	}
	if !plan.Make && !plan.Seen && !k.Now().Before(k.losses.until) {
		if plan.Make, err = k.lost(ctx, plan.Newest.Hash); err != nil {
			return shown(plan.Newest), plan.At, err
		}
		if plan.Make {
			k.losses.begin(k.Now(), lossPause, maxLossPause)
		}
	}
	if plan.Make {
		if k.pending == nil && k.Now().Before(k.faults.until) {
			return shown(plan.Newest), k.faults.until, k.failed
		}
		newest, err := k.renew(ctx, spec.ServiceAccount, wanted, server, ca)
		if err != nil {
			return shown(plan.Newest), time.Time{}, err
		}
		// What may be ended is seen at the next look, when the federation knows this one.
		return shown(newest), remotesecret.MintAt(newest.Issued, newest.end()), nil
	}
	return shown(plan.Newest), plan.At, k.end(ctx, bound, plan.End)
}

func inUse(spec *meshv1alpha1.MemberReader) []string {
	var hashes []string
	for i := range spec.InUse {
		hashes = append(hashes, spec.InUse[i].Token)
	}
	return hashes
}

func shown(t *Token) *meshv1alpha1.MemberToken {
	if t == nil {
		return nil
	}
	return &meshv1alpha1.MemberToken{Hash: t.Hash, Expires: metav1.NewTime(t.Ends)}
}

// wanted reads what a token depends on.
func (k *Keeper) wanted(ctx context.Context, spec *meshv1alpha1.MemberReader, server string) (*Wanted, []byte, error) {
	if server == "" {
		return nil, nil, fmt.Errorf("%w: set spec.apiEndpoint of the Cluster, or spec.remoteAccess.servers of Mesh %s", ErrNoServer, k.Mesh)
	}
	account, err := k.Member.ServiceAccount(ctx, spec.ServiceAccount)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, fmt.Errorf("%w: %s/%s, which the Work of the reader brings; look at the Works of this cluster", ErrNoAccount, meshv1alpha1.IstioNamespace, spec.ServiceAccount)
	case err != nil:
		return nil, nil, fmt.Errorf("ServiceAccount %s/%s: %w", meshv1alpha1.IstioNamespace, spec.ServiceAccount, err)
	}
	ca, err := k.Member.CA(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("the CA of the API server: %w", err)
	}
	if err := k.usable(server, ca); err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{string(account.UID), server, string(ca)}, "\x00")))
	wanted := &Wanted{Life: spec.TokenTTL.Duration, For: hex.EncodeToString(sum[:8]), InUse: inUse(spec)}
	if spec.RenewAfter != nil {
		wanted.After = spec.RenewAfter.Time
	}
	return wanted, ca, nil
}

// usable fails if the federation would not use a token for a server.
func (k *Keeper) usable(server string, ca []byte) error {
	try := &remotesecret.Token{Bearer: "bearer", Expires: k.Now(), Server: server, CA: ca}
	if _, err := remotesecret.ParseToken(try.Data()); err != nil {
		said := "that cannot be read"
		if at, wrong := url.Parse(server); wrong == nil {
			said = at.Redacted()
		}
		return fmt.Errorf("%w for the API server at %s: %w; the URL is that of spec.remoteAccess.servers of Mesh %s, or else of spec.apiEndpoint of the Cluster", ErrUseless, said, err, k.Mesh)
	}
	return nil
}

// lost asks the federation whether it has a token that it does not take in. A federation
// that was restored from a backup has an earlier one.
func (k *Keeper) lost(ctx context.Context, hash string) (bool, error) {
	now := k.Now()
	if k.looked.IsZero() {
		k.looked = now
	}
	if now.Sub(k.looked) < lookAfter {
		return false, nil
	}
	k.looked = now
	data, err := k.Federation.Get(ctx)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("the Secret with the token in the federation: %w", err)
	}
	there, err := remotesecret.ParseToken(data)
	return err != nil || there.Hash() != hash, nil //nolint:nilerr // a Secret that cannot be read is written again
}

// renew makes a token and delivers it. What was made is delivered later if it cannot be
// now.
func (k *Keeper) renew(ctx context.Context, account string, wanted *Wanted, server string, ca []byte) (*Token, error) {
	if k.pending == nil {
		pending, err := k.make(ctx, account, wanted)
		if err != nil {
			k.failed = err
			k.faults.begin(k.Now(), faultPause, maxFaultPause)
			return nil, err
		}
		k.failed, k.faults = nil, pause{}
		pending.secret.Server, pending.secret.CA = server, ca
		k.pending = pending
	}
	if err := k.Federation.Put(ctx, k.pending.secret.Data()); err != nil {
		return nil, fmt.Errorf("deliver the token of the reader to the federation: %w", err)
	}
	if err := k.annotate(ctx, k.pending.Secret, map[string]string{deliveredAnnotation: "true"}); err != nil {
		return nil, err
	}
	delivered := k.pending.Token
	k.pending, k.looked = nil, k.Now()
	return &delivered, nil
}

func (k *Keeper) make(ctx context.Context, account string, wanted *Wanted) (*made, error) {
	issued, name := k.Now(), prefix+suffix()
	if k.abandoned == nil {
		k.abandoned = map[string]bool{}
	}
	k.abandoned[name] = true // until it is good
	secret, err := k.Member.CreateSecret(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: meshv1alpha1.IstioNamespace, Name: name,
			Labels: map[string]string{meshv1alpha1.MeshLabel: k.Mesh, Label: k.Mesh},
		},
		Type: corev1.SecretTypeOpaque,
	})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		delete(k.abandoned, name) // it was not made
	}
	if err != nil {
		return nil, fmt.Errorf("make a Secret in %s that a token is bound to; the agent needs to create, patch, list and delete secrets there: %w", meshv1alpha1.IstioNamespace, err)
	}
	seconds := int64(wanted.Life.Seconds())
	answer, err := k.Member.CreateToken(ctx, account, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: secret.Name, UID: secret.UID},
	}})
	if err != nil {
		err = fmt.Errorf("make a token for ServiceAccount %s/%s; the agent needs to create serviceaccounts/token there: %w", meshv1alpha1.IstioNamespace, account, err)
		left := k.Member.DeleteSecret(ctx, secret.Name, secret.UID)
		if left == nil {
			delete(k.abandoned, name)
		}
		return nil, errors.Join(err, left)
	}
	bearer := &remotesecret.Token{Bearer: answer.Status.Token, Expires: answer.Status.ExpirationTimestamp.Time}
	token := Token{
		Secret: secret.Name, Created: secret.CreationTimestamp.Time, Hash: bearer.Hash(), Issued: issued, Ends: bearer.Expires,
		Life:  bearer.Expires.Sub(secret.CreationTimestamp.Time),
		Asked: wanted.Life, For: wanted.For, Renewed: wanted.After,
	}
	if err := k.annotate(ctx, secret.Name, token.annotations()); err != nil {
		return nil, err
	}
	delete(k.abandoned, name)
	return &made{secret: bearer, Token: token}, nil
}

func (k *Keeper) annotate(ctx context.Context, secret string, annotations map[string]string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	if err := k.Member.PatchSecret(ctx, secret, patch); err != nil {
		return fmt.Errorf("remember a token in Secret %s/%s: %w", meshv1alpha1.IstioNamespace, secret, err)
	}
	return nil
}

// sweep deletes what was left when a token could not be made.
func (k *Keeper) sweep(ctx context.Context, bound []metav1.PartialObjectMetadata) error {
	var left []string
	for i := range bound {
		if k.abandoned[bound[i].Name] {
			left = append(left, bound[i].Name)
		}
	}
	if err := k.end(ctx, bound, left); err != nil {
		return err
	}
	// A request that was not answered in time may still be carried out: its Secret is
	// listed later, then.
	for _, name := range left {
		delete(k.abandoned, name)
	}
	return nil
}

// clear ends all tokens, first for those who take them from the federation.
func (k *Keeper) clear(ctx context.Context, bound []metav1.PartialObjectMetadata) error {
	k.pending = nil
	if !k.emptied {
		if err := k.Federation.Delete(ctx); err != nil {
			return fmt.Errorf("remove the token of the reader from the federation: %w", err)
		}
		k.emptied = true
	}
	return k.end(ctx, bound, Decide(tokens(bound), nil, k.Now()).End)
}

func (k *Keeper) end(ctx context.Context, bound []metav1.PartialObjectMetadata, names []string) error {
	uids := map[string]types.UID{}
	for i := range bound {
		uids[bound[i].Name] = bound[i].UID
	}
	for _, name := range names {
		if err := k.Member.DeleteSecret(ctx, name, uids[name]); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("end a token: delete Secret %s/%s: %w", meshv1alpha1.IstioNamespace, name, err)
		}
	}
	return nil
}

// bound are the Secrets that tokens of this mesh are bound to.
func (k *Keeper) bound(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
	all, err := k.Member.SecretMetadata(ctx, Label+"="+k.Mesh)
	if err != nil {
		return nil, fmt.Errorf("%w: list secrets in %s: %w", ErrUnseen, meshv1alpha1.IstioNamespace, err)
	}
	return slices.DeleteFunc(all, func(s metav1.PartialObjectMetadata) bool { return !strings.HasPrefix(s.Name, prefix) }), nil
}

func suffix() string { return strings.ToLower(rand.Text()[:10]) }
