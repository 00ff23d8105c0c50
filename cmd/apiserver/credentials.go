package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/flotilla-io/flotilla/pkg/apiserver/credentials"
)

// hostCredentials is the subcommand "credentials".
func hostCredentials() *cobra.Command {
	opts := credentials.Options{PKISecret: "flotilla-pki", KubeconfigSecret: "flotilla-kubeconfig"}
	var kubeconfig string
	var inCluster bool
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Keep CAs, keys and kubeconfigs in Secrets of the cluster that hosts the federation",
		Long: `Keep CAs, keys and kubeconfigs in Secrets of the cluster that hosts the
federation. What is missing is made; kubeconfigs are renewed when a third of their
life or less is left, or the server or the CA is another one. CAs and keys that are
there are never replaced, and as long as a kubeconfig is there, they are not made
anew either: the Secret with them is lost then, and has to be put back.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if inCluster == (kubeconfig != "") {
				return errors.New("say where the cluster is: either --in-cluster or --kubeconfig")
			}
			// Without a file, this is the service account of the pod.
			cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return fmt.Errorf("reach the hosting cluster: %w", err)
			}
			client, err := kubernetes.NewForConfig(rest.AddUserAgent(cfg, "credentials"))
			if err != nil {
				return fmt.Errorf("reach the hosting cluster: %w", err)
			}
			return credentials.Ensure(cmd.Context(), client.CoreV1(), opts, time.Now())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Namespace, "namespace", opts.Namespace, "Namespace of the Secrets. Required.")
	flags.StringVar(&opts.PKISecret, "pki-secret", opts.PKISecret, "Secret with CAs and keys.")
	flags.StringVar(&opts.KubeconfigSecret, "kubeconfig-secret", opts.KubeconfigSecret, "Secret with the administrator's kubeconfig, under the key kubeconfig. Those of controller-manager and scheduler are called after it: flotilla-scheduler-kubeconfig.")
	flags.StringVar(&opts.Server, "server", opts.Server, "URL for the kubeconfigs, https://host:port. Required.")
	flags.StringVar(&opts.PublicServer, "public-url", opts.PublicServer, "URL for the administrator's kubeconfig, where people reach the federation at another one than its components.")
	flags.BoolVar(&opts.RenewOnly, "renew-only", opts.RenewOnly, "Keep the kubeconfigs good, and make neither a CA nor a key: what is missing of those is an error.")
	flags.BoolVar(&inCluster, "in-cluster", inCluster, "Use the service account of the pod this runs in.")
	flags.StringVar(&kubeconfig, "kubeconfig", kubeconfig, "Kubeconfig of the hosting cluster.")
	return cmd
}
