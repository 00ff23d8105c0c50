package native

import "time"

// pickTime returns the best of some RFC 3339 times in the API's spelling (UTC,
// whole seconds), "" if none is valid.
func pickTime(better func(a, b time.Time) bool, times ...string) string {
	var best time.Time
	for _, s := range times {
		if s == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, s)
		if err == nil && (best.IsZero() || better(t, best)) {
			best = t
		}
	}
	if best.IsZero() {
		return ""
	}
	return best.UTC().Format(time.RFC3339)
}

func timeOrNull(t string) any {
	if t == "" {
		return nil
	}
	return t
}
