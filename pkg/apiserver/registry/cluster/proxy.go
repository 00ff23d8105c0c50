package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/proxy"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/apiserver/registry"
)

// proxyREST serves the subresource proxy.
type proxyREST struct {
	cluster func(ctx context.Context, name string) (*clusterv1alpha1.Cluster, error)
	secret  SecretGetter
	pool    *pool
}

var (
	_ rest.Connecter       = &proxyREST{}
	_ rest.StorageMetadata = &proxyREST{}
)

func newProxy(cluster func(context.Context, string) (*clusterv1alpha1.Cluster, error), secret SecretGetter) *proxyREST {
	return &proxyREST{cluster: cluster, secret: secret, pool: newPool()}
}

func fromStore(store *registry.Store) func(context.Context, string) (*clusterv1alpha1.Cluster, error) {
	return func(ctx context.Context, name string) (*clusterv1alpha1.Cluster, error) {
		obj, err := store.Get(ctx, name, &metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return of(obj), nil
	}
}

// New implements rest.Storage.
func (p *proxyREST) New() runtime.Object { return &clusterv1alpha1.ClusterProxyOptions{} }

// Destroy implements rest.Storage.
func (p *proxyREST) Destroy() { p.pool.close() }

// ConnectMethods implements rest.Connecter.
func (p *proxyREST) ConnectMethods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
}

// NewConnectOptions implements rest.Connecter: what follows the subresource is
// the field path of the options.
func (p *proxyREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &clusterv1alpha1.ClusterProxyOptions{}, true, "path"
}

// ProducesMIMETypes implements rest.StorageMetadata: the member decides.
func (p *proxyREST) ProducesMIMETypes(string) []string { return nil }

// ProducesObject implements rest.StorageMetadata, for the OpenAPI document.
func (p *proxyREST) ProducesObject(string) any { return "" }

// Connect implements rest.Connecter.
func (p *proxyREST) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := options.(*clusterv1alpha1.ClusterProxyOptions)
	if !ok {
		return nil, apierrors.NewInternalError(fmt.Errorf("want ClusterProxyOptions, got %T", options))
	}
	caller, _ := genericapirequest.UserFrom(ctx)
	as, err := identityOf(caller)
	if err != nil {
		return nil, err
	}
	c, err := p.cluster(ctx, name)
	if err != nil {
		if apierrors.IsNotFound(err) {
			p.pool.forget(name)
		}
		return nil, err
	}
	m, err := p.member(ctx, c)
	if err != nil {
		return nil, err
	}
	location, err := inside(m.endpoint, o.Path)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		to := *location
		to.RawQuery = req.URL.RawQuery
		out := withoutIdentity(req)
		handler := proxy.NewUpgradeAwareHandler(&to, expired{c, as.wrap(m.token, m.transport)}, false, false, trouble{c, responder})
		handler.UpgradeTransport = proxy.NewUpgradeRequestRoundTripper(m.transport, as.wrap(m.token, proxy.MirrorRequest))
		handler.UseLocationHost = true
		// A client would follow a redirect to another path of the federation,
		// with its own credentials.
		handler.RejectForwardingRedirects = true
		defer endOf(req)
		handler.ServeHTTP(w, out)
	}), nil
}

// endOf ends a request whose answer could not be copied to its end. That is an
// abort, by a panic, so that the caller does not take a part for the whole; but
// when it is the caller who has gone, as watches end, it is nothing to log.
func endOf(req *http.Request) {
	switch cause := recover(); {
	case cause == nil:
	case cause == http.ErrAbortHandler && req.Context().Err() != nil: //nolint:errorlint // a panic's value, compared as net/http does
	default:
		panic(cause)
	}
}

// inside appends path to the path of endpoint. A path with .. could lead out of
// it, to what belongs to others behind the same address.
func inside(endpoint *url.URL, path string) (*url.URL, error) {
	if slices.Contains(strings.Split(path, "/"), "..") {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("path %q: \"..\" is not a part of any path of an API; write the path out", path))
	}
	location := *endpoint
	location.Path = utilnet.JoinPreservingTrailingSlash("/", endpoint.Path, path)
	location.RawPath = ""
	return &location, nil
}

// trouble answers a request that did not get through.
type trouble struct {
	cluster   *clusterv1alpha1.Cluster
	responder rest.Responder
}

// Error implements proxy.ErrorResponder.
func (t trouble) Error(_ http.ResponseWriter, _ *http.Request, err error) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		err = unavailable(t.cluster, "the member cannot be reached at spec.apiEndpoint %s: %v; see whether it is up, and whether spec.apiEndpoint, spec.proxyURL and the CA in spec.secretRef are right",
			redacted(t.cluster.Spec.APIEndpoint), err)
	}
	t.responder.Error(err)
}

// expired turns a member's 401, which would look as if the caller had to log in,
// into what it is: the federation's own token does not work. What a proxy of the
// member answers is left alone, it speaks for something else.
type expired struct {
	cluster *clusterv1alpha1.Cluster
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (e expired) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := e.next.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && !slices.Contains(strings.Split(req.URL.Path, "/"), "proxy") {
		_ = resp.Body.Close() // nothing in it is of use
		ref := e.cluster.Spec.ImpersonatorSecretRef
		return nil, unavailable(e.cluster, "the member does not accept the %s in Secret %s/%s, spec.impersonatorSecretRef; put a new token of its impersonator account there", tokenKey, ref.Namespace, ref.Name)
	}
	return resp, err
}

// WrappedRoundTripper implements net.RoundTripperWrapper.
func (e expired) WrappedRoundTripper() http.RoundTripper { return e.next }
