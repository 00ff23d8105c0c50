package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/pkg/agent"
	"github.com/flotilla-io/flotilla/pkg/agent/identity"
)

// federationFlags say how the federation is reached: with a kubeconfig, or with an identity of our own.
type federationFlags struct {
	kubeconfig     string
	server         string
	caHashes       []string
	tokenFile      string
	identitySecret string
	lifetime       time.Duration
}

func (f *federationFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.server, "federation-server", "", "URL of the federation's API; the agent gets a certificate for it and renews it")
	fs.StringSliceVar(&f.caHashes, "federation-ca-hash", nil, "sha256:<hex> of the federation CA's public key; may be given several times")
	fs.StringVar(&f.tokenFile, "bootstrap-token-file", "", "file with the bootstrap token that the first certificate is asked for with")
	fs.StringVar(&f.identitySecret, "identity-secret", "", "Secret of the member, as namespace/name, that keeps key and certificate; empty: the directory identity in --state-dir")
	fs.DurationVar(&f.lifetime, "certificate-lifetime", identity.DefaultLifetime, "lifetime to ask for in certificates; the federation may give less")
	fs.StringVar(&f.kubeconfig, "federation-kubeconfig", "", "kubeconfig of the federation, instead of --federation-server")
}

// connect sets options.Federation. The identity is nil with a kubeconfig, and has to be run otherwise.
func (f *federationFlags) connect(options *agent.Options) (*identity.Identity, error) {
	var err error
	if f.kubeconfig != "" {
		if options.Federation, err = clientcmd.BuildConfigFromFlags("", f.kubeconfig); err != nil {
			return nil, fmt.Errorf("--federation-kubeconfig: %w", err)
		}
		return nil, nil
	}
	store, err := f.store(options)
	if err != nil {
		return nil, err
	}
	who, err := identity.New(identity.Options{
		Cluster: options.ClusterName, Server: f.server, CAHashes: f.caHashes, TokenFile: f.tokenFile,
		Store: store, Lifetime: f.lifetime,
	})
	if err != nil {
		return nil, err
	}
	options.Federation, options.IdentityTrouble, options.Joined = who.Config(), who.Trouble, who.Joined()
	return who, nil
}

func (f *federationFlags) store(options *agent.Options) (identity.Store, error) {
	switch {
	case f.identitySecret != "":
		client, err := rest.HTTPClientFor(options.Member)
		if err != nil {
			return nil, fmt.Errorf("connection to the member: %w", err)
		}
		return identity.NewSecret(options.Member, client, f.identitySecret)
	case options.StateDir != "":
		return identity.Files(filepath.Join(options.StateDir, "identity")), nil
	}
	return nil, fmt.Errorf("%w: set --identity-secret or --state-dir: the certificate has to be kept", identity.ErrOptions)
}

func memberConfig(path string) (*rest.Config, error) {
	if path == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("no --kubeconfig, and not in a cluster: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	return config, nil
}
