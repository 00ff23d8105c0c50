package meshlab

import "sync"

// Cut cuts a member off: its API server and its agent hang, and nothing gets
// through its gateway or to its pods, until heal is called or the test ends. Its
// peers' istiods are not told.
func (s *Session) Cut(name string) (heal func()) {
	s.Helper()
	m := s.Mesh.Members[name]
	m.plane.set(func() { m.plane.cut = true })
	thaw := s.Freeze("agent-"+name, "member-"+name)
	var once sync.Once
	heal = func() {
		once.Do(func() {
			thaw()
			m.plane.set(func() { m.plane.cut = false })
		})
	}
	s.Cleanup(heal)
	return heal
}
