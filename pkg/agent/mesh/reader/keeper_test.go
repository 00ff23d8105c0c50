package reader

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

func keep(t *testing.T, k *Keeper, s *meshv1alpha1.MemberReader) (*meshv1alpha1.MemberToken, time.Time) {
	t.Helper()
	token, at, err := k.Keep(t.Context(), s)
	require.NoError(t, err)
	return token, at
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	first, at := keep(t, k, spec())
	require.Equal(t, hashOf("token-0"), first.Hash)
	assert.Equal(t, noon.Add(12*time.Hour), at)
	assert.Equal(t, "https://eu.example.com", string(w.data[meshv1alpha1.ReaderServerKey]))

	w.clock.Step(11 * time.Hour)
	same, _ := keep(t, k, spec("token-0"))
	assert.Equal(t, first, same)

	w.clock.SetTime(at)
	second, _ := keep(t, k, spec("token-0"))
	assert.Equal(t, hashOf("token-1"), second.Hash)
	assert.Equal(t, "token-1", w.delivered())
	assert.Len(t, w.secrets, 2)
	keep(t, k, spec("token-0"))
	keep(t, k, spec("token-0", "token-1"))
	assert.Len(t, w.secrets, 2, "a reader still uses the first")
	keep(t, k, spec("token-1"))
	assert.Len(t, w.secrets, 1, "nobody does")
	assert.True(t, w.works())

	token, _ := keep(t, k, nil)
	assert.Nil(t, token)
	assert.Empty(t, w.secrets)
	assert.Nil(t, w.data)
}

func TestWhatATokenDependsOn(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*world, *meshv1alpha1.MemberReader)
	}{
		"Account": {"The ServiceAccount was made again: the token does not work any more.", func(w *world, _ *meshv1alpha1.MemberReader) {
			account := w.account.DeepCopy()
			account.UID = "another"
			w.account = account
		}},
		"Server":     {"Peers would go on with the old URL.", func(_ *world, s *meshv1alpha1.MemberReader) { s.Server = "https://other.example.com" }},
		"Secret":     {"Somebody has deleted the Secret, which ended the token.", func(w *world, _ *meshv1alpha1.MemberReader) { clear(w.secrets) }},
		"RenewAfter": {"It is asked for.", func(w *world, s *meshv1alpha1.MemberReader) { s.RenewAfter = &metav1.Time{Time: w.clock.Now()} }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			k := w.keeper()
			s := spec()
			keep(t, k, s)
			s = spec("token-0")
			w.clock.Step(time.Minute)
			tc.change(w, s)
			keep(t, k, s)
			require.Equal(t, "token-1", w.delivered(), tc.reason)
			for range 5 {
				keep(t, k, s)
			}
			assert.Equal(t, "token-1", w.delivered(), "once")
		})
	}
}

// A federation that was restored from a backup has an earlier token, or none.
func TestFederationThatLostTheToken(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	keep(t, k, spec())
	w.data = nil
	for range 5 {
		w.clock.Step(10 * time.Second)
		keep(t, k, spec())
	}
	assert.Equal(t, "token-1", w.delivered())
	calls := w.calls
	w.clock.Step(10 * time.Second)
	keep(t, k, spec("token-1"))
	assert.Less(t, w.calls-calls, 5, "it is not asked while it uses the token")
}

// The lives of tokens count by our clock, however wrong that is.
func TestClocksThatDiffer(t *testing.T) {
	for _, skew := range []time.Duration{-48 * time.Hour, 48 * time.Hour} {
		w := newWorld(t)
		w.skew = skew
		k := w.keeper()
		token, at := keep(t, k, spec())
		assert.Equal(t, noon.Add(12*time.Hour), at)
		assert.Equal(t, noon.Add(skew+24*time.Hour), token.Expires.Time, "what is shown is the API server's")
		w.clock.Step(time.Hour)
		keep(t, k, spec("token-0"))
		assert.Equal(t, "token-0", w.delivered())
	}
}

func TestGrantedLifeIsHonoured(t *testing.T) {
	w := newWorld(t)
	w.granted = time.Hour
	k := w.keeper()
	_, at := keep(t, k, spec())
	assert.Equal(t, noon.Add(30*time.Minute), at)
	w.granted = 100 * time.Hour
	w.clock.SetTime(at)
	keep(t, k, spec("token-0"))
	for range 3 {
		_, at = keep(t, k, spec("token-1"))
	}
	assert.Equal(t, noon.Add(50*time.Hour+30*time.Minute), at)
	assert.Equal(t, "token-1", w.delivered(), "one that lives longer than asked for is not replaced again and again")
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	k.Server = ""
	_, _, err := k.Keep(t.Context(), spec())
	require.ErrorIs(t, err, ErrNoServer)
	k = w.keeper()
	keep(t, k, spec())
	w.account = nil
	token, _, err := k.Keep(t.Context(), spec("token-0"))
	require.ErrorIs(t, err, ErrNoAccount)
	assert.Equal(t, hashOf("token-0"), token.Hash, "what there was is still shown")
	assert.Len(t, w.secrets, 1)
}

// A process that ends at any moment of a rotation, with or without the effect of its last
// request, leaves nothing behind for ever, and ends nothing that is used.
func TestCrashes(t *testing.T) {
	for _, lostAnswer := range []bool{false, true} {
		for crash := range 12 {
			t.Run(fmt.Sprintf("%v/%d", lostAnswer, crash), func(t *testing.T) {
				w := newWorld(t)
				keep(t, w.keeper(), spec())
				w.clock.Step(12 * time.Hour)

				k := w.keeper()
				w.allowed, w.lostAnswer = crash, lostAnswer
				inUse := []string{"token-0"}
				_, _, _ = k.Keep(t.Context(), spec(inUse...)) // it ends

				k = w.keeper()
				for range 100 {
					w.clock.Step(15 * time.Second)
					keep(t, k, spec(inUse...))
					require.True(t, w.works(), "the token that peers get works")
					require.NotNil(t, w.secrets[w.bound[inUse[0]]], "the token that peers use works")
					if at := len(inUse) - 1; inUse[at] != w.delivered() {
						inUse = append(inUse, w.delivered()) // the federation takes it in
					}
				}
				keep(t, k, spec(w.delivered())) // and all readers use it
				require.Len(t, w.secrets, 1, "nothing is left of the crash")
				require.True(t, w.works())
				require.NotEqual(t, "token-0", w.delivered())
			})
		}
	}
}

// A token that was made and could not be delivered is delivered later, and no other is
// made meanwhile.
func TestDeliveredLater(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	keep(t, k, spec())
	w.data = nil
	keep(t, k, spec())
	w.clock.Step(time.Minute)
	w.calls, w.allowed = 0, 6 // up to the one that delivers
	_, _, err := k.Keep(t.Context(), spec())
	require.ErrorIs(t, err, errCrash)
	require.Len(t, w.bound, 2, "it was made")
	require.Nil(t, w.data, "and not delivered")
	for range 3 {
		_, _, err = k.Keep(t.Context(), spec())
		require.ErrorIs(t, err, errCrash)
	}
	w.allowed = -1
	keep(t, k, spec())
	assert.Equal(t, "token-1", w.delivered())
	assert.Len(t, w.bound, 2)
}

// What peers could not use is not made, however often is looked.
func TestUselessTokens(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*world, *meshv1alpha1.MemberReader)
		says   string
	}{
		"PlainHTTP": {"The token would be sent for all to read.", func(_ *world, s *meshv1alpha1.MemberReader) { s.Server = "http://eu.example.com" }, "http://eu.example.com"},
		"Password":  {"It is not said to anybody.", func(_ *world, s *meshv1alpha1.MemberReader) { s.Server = "https://me:secret@eu.example.com" }, "spec.remoteAccess.servers"},
		"NoCA":      {"The token would be sent to anybody.", func(w *world, _ *meshv1alpha1.MemberReader) { w.ca = []byte("a CA") }, "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := newWorld(t), spec()
			tc.change(w, s)
			k := w.keeper()
			for range 10 {
				w.clock.Step(time.Minute)
				_, _, err := k.Keep(t.Context(), s)
				require.ErrorIs(t, err, ErrUseless, tc.reason)
				require.ErrorContains(t, err, tc.says)
				require.NotContains(t, err.Error(), "secret@")
			}
			assert.Empty(t, w.bound)
			assert.Empty(t, w.secrets)
		})
	}
}

// A federation that takes tokens and does not keep them gets fewer and fewer.
func TestFederationThatKeepsNothing(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	for range 24 * 60 {
		w.clock.Step(time.Minute)
		keep(t, k, spec("another"))
		w.data = map[string][]byte{}
		if len(w.bound) > 200 {
			break
		}
	}
	assert.Less(t, len(w.bound), 24*6+10, "at most one in ten minutes")
	w.clock.Step(time.Hour)
	keep(t, k, spec())
	keep(t, k, spec(w.delivered()))
	assert.Len(t, w.secrets, 1, "and none of them stays")
}

// An API server that does not make tokens, or whose answers are lost, gets few requests, and
// what they leave is removed.
func TestTokensThatCannotBeMade(t *testing.T) {
	for crash := 3; crash < 6; crash++ {
		for _, lostAnswer := range []bool{false, true} {
			t.Run(fmt.Sprint(crash, lostAnswer), func(t *testing.T) {
				w := newWorld(t)
				k := w.keeper()
				made := 0
				for range 600 {
					w.clock.Step(time.Second)
					before := w.uids
					// Requests are the list, the account, the Secret, the token, its mark.
					w.calls, w.allowed, w.lostAnswer = 0, crash-1+len(w.secrets), lostAnswer
					_, _, err := k.Keep(t.Context(), spec())
					require.ErrorIs(t, err, errCrash)
					if w.uids > before {
						made++
					}
					require.LessOrEqual(t, len(w.secrets), 1, "one at a time")
				}
				require.Less(t, made, 20)
				w.allowed = -1
				w.clock.Step(time.Minute)
				keep(t, k, spec())
				keep(t, k, spec(w.delivered()))
				assert.Len(t, w.secrets, 1)
				assert.True(t, w.works())
			})
		}
	}
}

// An agent that goes on where another was whose clock was ahead makes one token, not one
// at each look.
func TestAnotherClock(t *testing.T) {
	for _, skew := range []time.Duration{-30 * time.Hour, -5 * time.Minute, 5 * time.Minute, 30 * time.Hour} {
		w := newWorld(t)
		keep(t, w.keeper(), spec())
		w.clock.Step(time.Hour + skew) // another node
		w.skew = -skew
		s := spec("token-0")
		s.RenewAfter = &metav1.Time{Time: w.now()}
		k := w.keeper()
		for range 20 {
			w.clock.Step(time.Second)
			keep(t, k, s)
			require.NotNil(t, w.secrets[w.bound["token-0"]], "it is in use")
		}
		assert.Equal(t, "token-1", w.delivered(), "%s", skew)
	}
}
