package fedctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

func (c *cli) meshCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mesh",
		Short: "Look at meshes, and change their root",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(
		c.meshLook("status [NAME]", "Show the clusters of meshes, and the links between them", `Show the clusters of a mesh, or of all, and a matrix of its links: from which
cluster to which. A cell is "ok", "-" where no link is wanted, or the first step that
is missing; what is in the way follows.`, c.printMeshes),
		c.meshLook("check [NAME]", "Fail unless meshes are ready, and say what is missing", `Look whether a mesh, or every mesh, is ready. If not, say what is missing and what to
do about it, and end with exit code 1.`, c.checkMeshes),
		c.rotateCommand(),
	)
	return cmd
}

// meshLook is a command that looks at one mesh or all.
func (c *cli) meshLook(use, short, long string, look func(f *cluster, meshes []meshv1alpha1.Mesh, output string) error) *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "" && output != "json" {
				return fmt.Errorf("%w: --output %s: use json", errFlags, output)
			}
			f, err := c.connectFederation()
			if err != nil {
				return err
			}
			meshes, err := c.meshes(cmd.Context(), f, args)
			if err != nil {
				return err
			}
			return look(f, meshes, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json: for programs")
	return cmd
}

// meshes reads those that are named, or all.
func (c *cli) meshes(ctx context.Context, f client.Reader, names []string) ([]meshv1alpha1.Mesh, error) {
	if len(names) == 0 {
		list := &meshv1alpha1.MeshList{}
		if err := f.List(ctx, list); err != nil {
			return nil, fmt.Errorf("meshes: %w", unserved(err))
		}
		return list.Items, nil
	}
	meshes := make([]meshv1alpha1.Mesh, len(names))
	for i, name := range names {
		if err := c.getMesh(ctx, f, name, &meshes[i]); err != nil {
			return nil, err
		}
	}
	return meshes, nil
}

var errNoMesh = errors.New("there is none of that name")

func (c *cli) getMesh(ctx context.Context, f client.Reader, name string, into *meshv1alpha1.Mesh) error {
	err := f.Get(ctx, client.ObjectKey{Name: name}, into)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("mesh %s: %w: \"%s mesh status\" shows those that there are", name, errNoMesh, c.name)
	}
	if err != nil {
		return fmt.Errorf("mesh %s: %w", name, unserved(err))
	}
	return nil
}

// unserved says why a kind that this binary knows is not there.
func unserved(err error) error {
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("%w. The federation is of a version without meshes", err)
	}
	return err
}

// readiness says whether a Mesh is ready, and if not, why. What is said of an earlier
// spec does not count.
func readiness(m *meshv1alpha1.Mesh) (ready bool, reason, message string) {
	c := meta.FindStatusCondition(m.Status.Conditions, meshv1alpha1.ConditionReady)
	switch {
	case c == nil:
		return false, "Unknown", "nothing was said about it yet; look whether the controller-manager of the federation runs"
	case m.Status.ObservedGeneration < m.Generation:
		return false, "Changed", "its spec was changed, and nothing was said about that yet"
	}
	return c.Status == metav1.ConditionTrue, c.Reason, c.Message
}

// notTrue is the first condition that is not True; nil if all are. Without conditions
// nothing is known.
func notTrue(conditions []metav1.Condition) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Status != metav1.ConditionTrue {
			return &conditions[i]
		}
	}
	if len(conditions) == 0 {
		return &metav1.Condition{Type: "Known", Status: metav1.ConditionUnknown, Reason: "NotReported", Message: "nothing was said about it yet"}
	}
	return nil
}

func (c *cli) sayJSON(out any) error {
	raw, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	c.say("%s", raw)
	return nil
}
