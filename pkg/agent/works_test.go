package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
	"github.com/flotilla-io/flotilla/pkg/agent/inventory"
)

// removals is an engine that is only told what to remove.
type removals struct {
	engine
	names []string
}

func (r *removals) Remove(name string) { r.names = append(r.names, name) }

// A list that takes long to come says what was so when it was asked for.
func TestASecondLookBeginsLater(t *testing.T) {
	const second = 5 * time.Second
	synctest.Test(t, func(t *testing.T) {
		engine := &removals{}
		i := &intake{engine: engine, secondLook: second, now: time.Now, doubted: map[string]time.Time{}, missing: make(chan struct{}, 1)}
		taken := func(gone ...string) []string {
			plan := inventory.Plan{Gone: gone}
			i.mu.Lock()
			defer i.mu.Unlock()
			i.doubt(&plan)
			return plan.Gone
		}
		ctx, cancel := context.WithCancel(t.Context())
		asked, answer, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			i.confirmGone(ctx, func(context.Context) (*workv1alpha1.WorkList, error) {
				asked <- struct{}{}
				<-answer
				return &workv1alpha1.WorkList{}, nil
			})
		}()
		i.ask()
		require.Empty(t, taken("a"))
		<-asked
		// While the second list is on its way, the works are listed again, and another one is missing.
		i.ask()
		<-time.After(time.Second)
		require.Equal(t, []string{"a"}, taken("a", "b"))
		<-time.After(2 * second)
		answer <- struct{}{}
		<-asked
		require.Empty(t, engine.names, "b was not yet missing when that list was asked for")
		answer <- struct{}{}
		synctest.Wait()
		require.Equal(t, []string{"b"}, engine.names)

		i.ask()
		require.Empty(t, taken("c"))
		i.ask()
		<-time.After(second)
		require.Empty(t, taken("c"), "the second list was asked for at once")
		cancel()
		<-asked
		answer <- struct{}{}
		<-done
	})
}
