package lab

import (
	"strings"
	"time"
)

// Eventually looks until what is seen is right, and fails the test with what
// was seen last when that takes longer than Patience.
func (s *Session) Eventually(what string, look func() (seen string, ok bool)) {
	s.Helper()
	s.Within(Patience, what, look)
}

// Within is Eventually with another patience.
func (s *Session) Within(patience time.Duration, what string, look func() (seen string, ok bool)) {
	s.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		seen, ok := look()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("not after %s: %s. Last seen:\n%s", patience, what, seen)
		}
		select {
		case <-ticker.C:
		case <-s.Context().Done():
			s.Fatalf("%s: %v", what, s.Context().Err())
		}
	}
}

// Shows waits until kubectl prints exactly this, but for white space at the ends.
func (s *Session) Shows(where, want string, args ...string) {
	s.Helper()
	s.Eventually("kubectl "+strings.Join(args, " ")+" in "+where+" prints "+quote(want), func() (string, bool) {
		out, err := s.Try(where, args...)
		if err != nil {
			return err.Error(), false
		}
		return out, strings.TrimSpace(out) == want
	})
}

// Mentions waits until kubectl prints all of these.
func (s *Session) Mentions(where string, wants []string, args ...string) {
	s.Helper()
	s.Eventually("kubectl "+strings.Join(args, " ")+" in "+where+" mentions "+quote(wants...), func() (string, bool) {
		out, err := s.Try(where, args...)
		if err != nil {
			return err.Error(), false
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				return out, false
			}
		}
		return out, true
	})
}

// Gone waits until an object is not there.
func (s *Session) Gone(where string, object ...string) {
	s.Helper()
	args := append([]string{"get", "--ignore-not-found", "--output=name"}, object...)
	s.Shows(where, "", args...)
}

func quote(texts ...string) string {
	return "\"" + strings.Join(texts, "\", \"") + "\""
}
