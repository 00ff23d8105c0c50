package fedctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flotilla-io/flotilla/pkg/agent/identity"
)

// maxClusterName is what fits into the names that are made from it.
const maxClusterName = 48

var errClusterName = errors.New("cannot be the name of a cluster")

func checkClusterName(name string) error {
	reasons := validation.IsDNS1123Label(name)
	if len(name) > maxClusterName {
		reasons = append(reasons, fmt.Sprintf("must be no more than %d characters", maxClusterName))
	}
	if len(reasons) > 0 {
		return fmt.Errorf("%q %w: %s", name, errClusterName, reasons[0])
	}
	return nil
}

// checkNewClusterName refuses also what could be mistaken for what is made from another name.
func checkNewClusterName(name string) error {
	if strings.HasSuffix(name, impersonatorSuffix) {
		return fmt.Errorf("%q %w: names that end in %s are of other clusters' accounts. Use another name", name, errClusterName, impersonatorSuffix)
	}
	return checkClusterName(name)
}

// address is what an agent has to know of a federation.
type address struct {
	Server   string   `json:"server"`
	CAHashes []string `json:"caHashes"`
}

// findAddress reads it from the ConfigMap that agents will read; a federation without one is known by the
// kubeconfig that was used.
func findAddress(ctx context.Context, f *cluster) (address, error) {
	info := &corev1.ConfigMap{}
	err := f.Get(ctx, client.ObjectKey{Namespace: metav1.NamespacePublic, Name: "cluster-info"}, info)
	if apierrors.IsNotFound(err) {
		return address{}, fmt.Errorf("ConfigMap kube-public/cluster-info is not there: %s is no Flotilla API server of this version, or has just started; try again", f.config.Host)
	}
	if err != nil {
		return address{}, fmt.Errorf("ConfigMap kube-public/cluster-info: %w", err)
	}
	config, err := clientcmd.Load([]byte(info.Data["kubeconfig"]))
	if err != nil {
		return address{}, fmt.Errorf("ConfigMap kube-public/cluster-info: key kubeconfig: %w", err)
	}
	for _, cluster := range config.Clusters {
		hashes, err := hashesOf(cluster.CertificateAuthorityData)
		if err != nil {
			return address{}, fmt.Errorf("ConfigMap kube-public/cluster-info: %w", err)
		}
		return address{Server: cluster.Server, CAHashes: hashes}, checkCA(f.config, hashes)
	}
	return address{}, errors.New("ConfigMap kube-public/cluster-info: key kubeconfig names no cluster")
}

func hashesOf(bundle []byte) ([]string, error) {
	certificates, err := cert.ParseCertsPEM(bundle)
	if err != nil {
		return nil, fmt.Errorf("CA certificates: %w", err)
	}
	var hashes []string
	for _, certificate := range certificates {
		hashes = append(hashes, identity.HashOf(certificate).String())
	}
	return slices.Compact(hashes), nil
}

var errUnverified = errors.New("the connection to the federation is not verified")

// checkCA compares what the federation publishes with what the administrator trusts: agents would be sent
// to whoever could write the one. Where a public CA is trusted, the answer came from the right server.
func checkCA(config *rest.Config, published []string) error {
	if config.Insecure || strings.HasPrefix(config.Host, "http://") && !loopback(config.Host) {
		return fmt.Errorf("%w, so whoever is between could have agents join them instead, with a token: give the kubeconfig a certificate-authority, and take insecure-skip-tls-verify out", errUnverified)
	}
	ca, err := caOf(config)
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	if len(ca) == 0 {
		return nil
	}
	trusted, err := hashesOf(ca)
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	for _, hash := range published {
		if slices.Contains(trusted, hash) {
			return nil
		}
	}
	return fmt.Errorf("ConfigMap kube-public/cluster-info shows the CA %v, but your kubeconfig trusts %v: do not give out tokens before you know why", published, trusted)
}
