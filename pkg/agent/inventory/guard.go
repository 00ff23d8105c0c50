package inventory

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Guard decides whether deletions that a full list implies are believable. A list that is suddenly
// short may be a restored backup, an empty database or a wrong address; a deletion that arrives as
// an event of its own was asked for and never comes here.
type Guard struct {
	// Objects that may always go at once.
	Objects int
	// Percent of the inventory that may go at once, when that is more.
	Percent int
}

// DefaultGuard lets five objects or half of the inventory go, whichever is more.
var DefaultGuard = Guard{Objects: 5, Percent: 50}

// Holds tells whether deleting doomed of total objects needs a person's word.
func (g Guard) Holds(doomed, total int) bool {
	return doomed > g.Objects && doomed*100 > total*g.Percent
}

// Nonce is something that was not there before.
func Nonce() string {
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // does not fail
	return hex.EncodeToString(raw)
}

// Token stands for one set of deletions on one occasion, which the nonce stands for: who confirms it
// confirms exactly these, and not the same ones another time.
func Token(nonce string, doomed []Key) string {
	keys := slices.Clone(doomed)
	slices.SortFunc(keys, Key.Compare)
	sum := sha256.New()
	sum.Write([]byte(nonce))
	sum.Write([]byte{0})
	for _, key := range keys {
		for _, part := range []string{key.Group, key.Kind, key.Namespace, key.Name} {
			sum.Write([]byte(part))
			sum.Write([]byte{0})
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

// Sample is at most n of the keys in the form used in messages.
func Sample(keys []Key, n int) []string {
	out := make([]string, 0, n)
	for _, key := range keys {
		if len(out) == n {
			break
		}
		out = append(out, key.String())
	}
	return out
}
