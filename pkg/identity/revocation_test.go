package identity

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// issued is a certificate as the signer makes it.
func issued(at time.Time, life time.Duration) *x509.Certificate {
	return &x509.Certificate{NotBefore: at.Truncate(time.Second).Add(-5 * time.Minute), NotAfter: at.Add(life)}
}

func TestRevoked(t *testing.T) {
	revocations, err := ParseRevocations(map[string]string{"eu": "2026-05-01T12:00:00Z", "us": "2026-05-01T14:00:00+02:00"})
	require.NoError(t, err)
	tests := map[string]struct {
		reason  string
		cluster string
		at      time.Time
		want    bool
	}{
		"before":             {"it is what was to be revoked", "eu", noon.Add(-time.Hour), true},
		"a second before":    {"nothing is lost to dating back", "eu", noon.Add(-time.Second), true},
		"in the same second": {"at or before", "eu", noon, true},
		"a second after":     {"the cluster has joined again", "eu", noon.Add(time.Second), false},
		"long after":         {"the cluster has joined again", "eu", noon.Add(time.Hour), false},
		"another cluster":    {"nobody revoked it", "ap", noon.Add(-time.Hour), false},
		"another prefix":     {"nobody revoked it", "eu-2", noon.Add(-time.Hour), false},
		"another time zone":  {"the same moment", "us", noon, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, life := range []time.Duration{10 * time.Minute, 24 * time.Hour} {
				_, got := revocations.Revoked(tt.cluster, issued(tt.at, life))
				assert.Equal(t, tt.want, got, tt.reason)
			}
		})
	}
	_, got := Revocations(nil).Revoked("eu", issued(noon, time.Hour))
	assert.False(t, got, "nothing is revoked at first")
}

func TestUnreadableTimesRevoke(t *testing.T) {
	revocations, err := ParseRevocations(map[string]string{"eu": "yesterday", "us": "2026-05-01T12:00:00Z"})
	require.ErrorContains(t, err, "eu")
	require.ErrorContains(t, err, "yesterday")
	_, revoked := revocations.Revoked("eu", issued(noon.AddDate(100, 0, 0), time.Hour))
	assert.True(t, revoked, "somebody meant to revoke something")
	_, revoked = revocations.Revoked("us", issued(noon.Add(time.Hour), time.Hour))
	assert.False(t, revoked, "the others are as they are")
}

func TestFormat(t *testing.T) {
	for at, want := range map[time.Time]string{
		noon:                               "2026-05-01T12:00:00Z",
		noon.Add(time.Nanosecond):          "2026-05-01T12:00:01Z",
		noon.Add(999 * time.Millisecond):   "2026-05-01T12:00:01Z",
		noon.In(time.FixedZone("x", 7200)): "2026-05-01T12:00:00Z",
	} {
		assert.Equal(t, want, Format(at))
	}
	// Whatever was issued up to a moment is revoked by that moment.
	at := noon.Add(300 * time.Millisecond)
	revocations, err := ParseRevocations(map[string]string{"eu": Format(at)})
	require.NoError(t, err)
	_, revoked := revocations.Revoked("eu", issued(at, time.Hour))
	assert.True(t, revoked)
}
