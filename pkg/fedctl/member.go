package fedctl

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/utils/ptr"
)

// memberFlags say where a member is.
type memberFlags struct {
	kubeconfig, context, namespace string
}

func (m *memberFlags) add(cmd *cobra.Command, kubeconfigDefault string) {
	fs := cmd.Flags()
	fs.StringVar(&m.kubeconfig, "member-kubeconfig", "", "kubeconfig of the member; "+kubeconfigDefault)
	fs.StringVar(&m.context, "member-context", "", "context of the member in it")
	fs.StringVar(&m.namespace, "namespace", memberNamespace, "namespace of Flotilla in the member")
}

// given tells whether a member was named.
func (m *memberFlags) given() bool { return m.kubeconfig != "" || m.context != "" }

func (m *memberFlags) getter() *genericclioptions.ConfigFlags {
	flags := genericclioptions.NewConfigFlags(true)
	flags.KubeConfig, flags.Context, flags.Namespace = ptr.To(m.kubeconfig), ptr.To(m.context), ptr.To(m.namespace)
	return flags
}

func (m *memberFlags) connect(c *cli) (*cluster, error) {
	found, err := c.dial("member", m.getter())
	if err != nil {
		return nil, fmt.Errorf("%w. Name its kubeconfig with --member-kubeconfig", err)
	}
	return found, nil
}
