package apply

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"slices"
)

// Subset tells whether live holds everything that desired says. Maps are compared by desired's
// keys, lists by index and with the same length, numbers by value. A null or empty collection in
// desired also matches an absent field: the API server may drop it.
func Subset(desired, live any) bool {
	switch want := desired.(type) {
	case nil:
		return live == nil
	case map[string]any:
		have, ok := live.(map[string]any)
		if !ok {
			return len(want) == 0 && live == nil
		}
		for key, value := range want {
			if !Subset(value, have[key]) {
				return false
			}
		}
		return true
	case []any:
		have, ok := live.([]any)
		if !ok {
			return len(want) == 0 && live == nil
		}
		if len(want) != len(have) {
			return false
		}
		for i := range want {
			if !Subset(want[i], have[i]) {
				return false
			}
		}
		return true
	default:
		return equalScalar(desired, live)
	}
}

func equalScalar(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch b.(type) {
	case map[string]any, []any:
		return false // not comparable
	}
	return a == b
}

// number widens the two number types of unstructured content. Integers beyond 2^53 are left to ==.
func number(value any) (float64, bool) {
	switch n := value.(type) {
	case int64:
		if n > -1<<53 && n < 1<<53 {
			return float64(n), true
		}
	case float64:
		return n, true
	}
	return 0, false
}

// Fingerprint is a digest of the values live holds at the places that desired speaks of. Two live
// objects with the same fingerprint differ from desired in the same way. It ignores everything else
// in live, so a status or another owner's field does not change it.
func Fingerprint(desired, live any) string {
	sum := sha256.New()
	project(sum, desired, live)
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Marks that keep different shapes from hashing alike.
const (
	markAbsent byte = iota
	markMap
	markList
	markString
	markNumber
	markInteger
	markTrue
	markFalse
	markEnd
)

func project(sum hash.Hash, desired, live any) {
	switch want := desired.(type) {
	case map[string]any:
		have, ok := live.(map[string]any)
		if !ok {
			write(sum, live)
			return
		}
		sum.Write([]byte{markMap})
		for _, key := range sortedKeys(want) {
			writeString(sum, key)
			project(sum, want[key], have[key])
		}
		sum.Write([]byte{markEnd})
	case []any:
		have, ok := live.([]any)
		if !ok || len(have) != len(want) {
			write(sum, live)
			return
		}
		sum.Write([]byte{markList})
		for i := range want {
			project(sum, want[i], have[i])
		}
		sum.Write([]byte{markEnd})
	default:
		write(sum, live)
	}
}

func write(sum hash.Hash, value any) {
	switch v := value.(type) {
	case nil:
		sum.Write([]byte{markAbsent})
	case map[string]any:
		sum.Write([]byte{markMap})
		for _, key := range sortedKeys(v) {
			writeString(sum, key)
			write(sum, v[key])
		}
		sum.Write([]byte{markEnd})
	case []any:
		sum.Write([]byte{markList})
		for _, item := range v {
			write(sum, item)
		}
		sum.Write([]byte{markEnd})
	case string:
		writeString(sum, v)
	case bool:
		if v {
			sum.Write([]byte{markTrue})
		} else {
			sum.Write([]byte{markFalse})
		}
	default:
		if n, ok := number(value); ok {
			writeUint(sum, markNumber, math.Float64bits(n))
		} else if n, ok := value.(int64); ok {
			writeUint(sum, markInteger, uint64(n))
		}
	}
}

func writeString(sum hash.Hash, s string) {
	writeUint(sum, markString, uint64(len(s)))
	sum.Write([]byte(s))
}

func writeUint(sum hash.Hash, mark byte, n uint64) {
	var buf [9]byte
	buf[0] = mark
	binary.BigEndian.PutUint64(buf[1:], n)
	sum.Write(buf[:])
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
