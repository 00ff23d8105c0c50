package v1alpha1

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestClip(t *testing.T) {
	for text, want := range map[string]string{"": "", "12345678": "12345678", "123456789": "12345...", "1234éäü": "1234..."} {
		if got := Clip(text, 8); got != want {
			t.Errorf("Clip(%q, 8) is %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text, most := rapid.String().Draw(t, "text"), rapid.IntRange(3, 40).Draw(t, "most")
		got := Clip(text, most)
		switch {
		case len(got) > most:
			t.Fatalf("%q has more than %d bytes", got, most)
		case utf8.ValidString(text) && !utf8.ValidString(got):
			t.Fatalf("%q was cut in a character", got)
		case len(text) <= most && got != text:
			t.Fatalf("%q was changed", text)
		case !strings.HasPrefix(text, strings.TrimSuffix(got, "...")):
			t.Fatalf("%q does not begin as %q", got, text)
		}
	})
}
