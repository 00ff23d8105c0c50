package fedctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

// steady is the stage without a change of the root.
const steady = "Steady"

// rotate changes the root of a mesh.
type rotate struct {
	*cli
	name    string
	wait    bool
	timeout time.Duration
}

func (c *cli) rotateCommand() *cobra.Command {
	r := &rotate{cli: c}
	cmd := &cobra.Command{
		Use:   "rotate-root NAME",
		Short: "Give a mesh a new root",
		Long: `Give a mesh a new root. It comes in three steps, and no call fails: both roots are
trusted and the old one signs, the new one signs, the new one alone is trusted. Each
step waits until it is in effect in every cluster, and until every workload has renewed
its certificate.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := c.connectFederation()
			if err != nil {
				return err
			}
			r.name = args[0]
			return r.run(cmd.Context(), f)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&r.wait, "wait", false, "show each step, and wait until the new root alone is trusted")
	fs.DurationVar(&r.timeout, "timeout", 0, "how long to wait; 0: as long as it takes")
	return cmd
}

var (
	errExternal = errors.New("the root comes from a Secret")
	errNoRoot   = errors.New("there is no root yet")
	errUnderWay = errors.New("a change of the root is under way")
)

func (r *rotate) run(ctx context.Context, f client.Client) error {
	m := &meshv1alpha1.Mesh{}
	if err := r.getMesh(ctx, f, r.name, m); err != nil {
		return err
	}
	if err := r.check(m); err != nil {
		return fmt.Errorf("mesh %s: %w", r.name, err)
	}
	was, there := m.Spec.Trust.RootGeneration, m.Status.Trust.RootGeneration
	next := max(was, there) + 1
	const path = "/spec/trust/rootGeneration"
	patch := fmt.Sprintf(`[{"op":"test","path":"/metadata/uid","value":%q},{"op":"test","path":%q,"value":%d},{"op":"replace","path":%q,"value":%d}]`, m.UID, path, was, path, next)
	if err := f.Patch(ctx, m, client.RawPatch(types.JSONPatchType, []byte(patch))); err != nil {
		return fmt.Errorf("mesh %s: spec.trust.rootGeneration: %w. If somebody else has changed it meanwhile, \"%s mesh status %s\" shows how far that is", r.name, err, r.cli.name, r.name)
	}
	if there > was {
		r.say("Mesh %s has root %d already, though spec.trust.rootGeneration was %d: it was made anew, or had its root from a Secret", r.name, there, was)
	}
	r.say("Mesh %s is to have root %d", r.name, next)
	if !r.wait {
		r.say("\"%s mesh status %s\" shows how far it is", r.cli.name, r.name)
		return nil
	}
	ctx, cancel := within(ctx, r.timeout)
	defer cancel()
	if err := poll(ctx, "mesh "+r.name, r.look(f, m.UID, next)); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%w. The change goes on without %s", err, r.cli.name)
		}
		return err
	}
	r.say("Mesh %s has root %d, and trusts no other", r.name, next)
	return nil
}

// check refuses what cannot begin.
func (r *rotate) check(m *meshv1alpha1.Mesh) error {
	trust := m.Status.Trust
	switch {
	case m.Spec.Trust.Mode == meshv1alpha1.TrustExternal:
		where := "of spec.trust.secretRef"
		if ref := m.Spec.Trust.SecretRef; ref != nil {
			where = ref.Namespace + "/" + ref.Name
		}
		return fmt.Errorf("%w (spec.trust.mode External): put the new one into Secret %s", errExternal, where)
	case !m.DeletionTimestamp.IsZero():
		return errors.New("it is being deleted")
	case trust == nil || trust.RootGeneration == 0:
		return fmt.Errorf("%w, so there is none to change: \"%s mesh status %s\" shows what it waits for", errNoRoot, r.cli.name, r.name)
	case trust.RootGeneration < m.Spec.Trust.RootGeneration:
		return fmt.Errorf("%w: root %d was asked for, and has not begun%s", errUnderWay, m.Spec.Trust.RootGeneration, after(": ", trust.Message))
	case trust.Stage != steady:
		return fmt.Errorf("%w: root %d is at %s%s. One after another: kubectl wait mesh/%s --for=jsonpath='{.status.trust.stage}'=%s --timeout=-1s",
			errUnderWay, trust.RootGeneration, cmp.Or(trust.Stage, "an unknown stage"), after(": ", trust.Message), r.name, steady)
	}
	return nil
}

// stages are for people, in their order.
var stages = map[string]string{
	"TrustBoth": "Step 1 of 3: both roots are trusted, the old one signs",
	"SignNew":   "Step 2 of 3: both roots are trusted, the new one signs",
	"TrustNew":  "Step 3 of 3: the new root alone is trusted",
}

// look looks at how far a change is, and says what is new about that.
func (r *rotate) look(f client.Reader, uid types.UID, generation int64) func(context.Context) (bool, string, error) {
	stage, message := "", ""
	return func(ctx context.Context) (bool, string, error) {
		m := &meshv1alpha1.Mesh{}
		err := f.Get(ctx, client.ObjectKey{Name: r.name}, m)
		switch {
		case apierrors.IsNotFound(err), err == nil && m.UID != uid:
			return false, "", errors.New("it was deleted")
		case err != nil:
			return notYet(err)
		case m.Status.Trust == nil || m.Status.Trust.RootGeneration < generation:
			return false, "the change has not begun", nil
		}
		trust := m.Status.Trust
		if trust.Stage == steady {
			return true, "", nil
		}
		if trust.Stage != stage {
			stage, message = trust.Stage, ""
			r.say("%s", cmp.Or(stages[stage], stage))
		}
		if trust.Message != message {
			message = trust.Message
			r.say("  %s", cmp.Or(message, "it waits for nothing any more"))
		}
		return false, stage + after(": ", message), nil
	}
}
