package replicas

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	"github.com/flotilla-io/flotilla/test/mesh/meshlab"
)

// hasty is a clock of which pauses are a fifth as long: an agent with it looks every
// three seconds when all is well.
type hasty struct{ clock.RealClock }

func (h hasty) NewTimer(d time.Duration) clock.Timer { return h.RealClock.NewTimer(d / 5) }

func (h hasty) After(d time.Duration) <-chan time.Time { return h.RealClock.After(d / 5) }

// links writes down each link that was not ready, from a time on.
type links struct {
	mu   sync.Mutex
	gone []string
}

// watchLinks looks ten times a second until the test ends.
func watchLinks(s *meshlab.Session) *links {
	l := &links{}
	ctx, cancel := context.WithCancel(s.Context())
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			mesh, err := s.GetMesh(meshlab.Mesh)
			if err != nil {
				l.add(fmt.Sprintf("%s: %v", time.Now().Format("15:04:05.0"), err))
				continue
			}
			for i := range mesh.Status.Links {
				if at := &mesh.Status.Links[i]; at.Phase != meshv1alpha1.LinkReady {
					l.add(fmt.Sprintf("%s: %s > %s is %s: %s %s: %s", time.Now().Format("15:04:05.0"), at.From, at.To, at.Phase, at.Step, at.Reason, at.Message))
				}
			}
		}
	})
	s.Cleanup(func() { cancel(); done.Wait() })
	return l
}

func (l *links) add(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = append(l.gone, what)
}

// so far.
func (l *links) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.gone...)
}
