package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	tests := map[string]struct {
		reason string
		events []string
		shows  []string
		hides  []string
		totals string
		failed bool
	}{
		"Pass": {
			reason: "what passed says nothing, but its package does",
			events: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}`,
				`{"Action":"output","Package":"p","Output":"ok  \tp\t0.2s\n"}`,
				`{"Action":"pass","Package":"p","Elapsed":0.2}`,
			},
			shows:  []string{"ok  \tp\t0.2s\n", "1 passed, 0 failed, 0 skipped\n"},
			hides:  []string{"chatter"},
			totals: "1 0 0\n",
		},
		"SlowPass": {
			reason: "somebody who waits wants to see what took the time",
			events: []string{`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":3}`},
			shows:  []string{"passed  p TestA (3s)"},
			totals: "1 0 0\n",
		},
		"Fail": {
			reason: "a failed test shows all it said",
			events: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"got 1, want 2\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			shows:  []string{"FAILED  p TestA\ngot 1, want 2\n", "0 passed, 1 failed"},
			hides:  []string{"as a whole"},
			totals: "0 1 0\n",
			failed: true,
		},
		"BuildFails": {
			reason: "a package without a test that ran is a failure of its own",
			events: []string{
				`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: undefined: x\n"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			shows:  []string{"undefined: x", "FAIL\tp [build failed]", "FAILED  p as a whole"},
			totals: "0 1 0\n",
			failed: true,
		},
		"Panic": {
			reason: "a test that never ended is shown with what it said",
			events: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			shows:  []string{"panic: oh", "FAILED  p as a whole"},
			totals: "0 1 0\n",
			failed: true,
		},
		"Skip": {
			reason: "a skipped test is a hole, so it is shown",
			events: []string{`{"Action":"skip","Package":"p","Test":"TestA"}`},
			shows:  []string{"skipped p TestA"},
			totals: "0 0 1\n",
		},
		"NotJSON": {
			reason: "what is not an event is passed on",
			events: []string{"go: downloading x"},
			shows:  []string{"go: downloading x\n"},
			totals: "0 0 0\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			file := filepath.Join(t.TempDir(), "totals")
			failed, err := run(strings.NewReader(strings.Join(tc.events, "\n")), &out, file)
			require.NoError(t, err, tc.reason)
			assert.Equal(t, tc.failed, failed, tc.reason)
			for _, want := range tc.shows {
				assert.Contains(t, out.String(), want, tc.reason)
			}
			for _, unwanted := range tc.hides {
				assert.NotContains(t, out.String(), unwanted, tc.reason)
			}
			totals, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, tc.totals, string(totals), tc.reason)
		})
	}
}
