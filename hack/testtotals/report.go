package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// slow is how long a test takes that is worth a line of its own.
const slow = 2 * time.Second

// event is what go test -json writes for each thing that happens.
type event struct {
	Time       time.Time
	Action     string
	Package    string
	ImportPath string // of build events
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

type test struct{ pkg, name string }

// report keeps what is needed to tell how the tests went.
type report struct {
	out io.Writer
	err error // of writing

	passed, failed, skipped int
	broken                  []string // packages that failed without a failed test
	said                    map[test][]string
	failedIn                map[string]int
	since                   map[test]time.Time
}

func newReport(out io.Writer) *report {
	return &report{out: out, said: map[test][]string{}, failedIn: map[string]int{}, since: map[test]time.Time{}}
}

func (r *report) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(r.out, format, args...); err != nil && r.err == nil {
		r.err = err
	}
}

func (r *report) add(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		r.printf("%s", e.Output)
	case "start", "run", "cont":
		r.since[t] = e.Time
	case "pause":
		delete(r.since, t)
	case "output":
		r.output(t, e.Output)
	case "pass", "fail", "skip":
		delete(r.since, t)
		if e.Test == "" {
			r.packageEnd(e)
		} else {
			r.testEnd(t, e)
		}
		delete(r.said, t)
	}
}

// output keeps what a test says until it is known whether that matters. Of a
// package, only the line with its result is shown; more, if it fails.
func (r *report) output(t test, line string) {
	switch {
	case t.name == "" && (strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "?")):
		r.printf("%s", line)
	case t.name == "" && strings.TrimSpace(line) == "PASS":
	default:
		r.said[t] = append(r.said[t], line)
	}
}

func (r *report) testEnd(t test, e event) {
	took := time.Duration(e.Elapsed * float64(time.Second))
	switch e.Action {
	case "pass":
		r.passed++
		if took >= slow {
			r.printf("     passed  %s %s (%s)\n", t.pkg, t.name, took.Round(100*time.Millisecond))
		}
	case "skip":
		r.skipped++
		r.printf("     skipped %s %s\n%s", t.pkg, t.name, strings.Join(r.said[t], ""))
	case "fail":
		r.failed++
		r.failedIn[t.pkg]++
		r.printf("---- FAILED  %s %s\n%s", t.pkg, t.name, strings.Join(r.said[t], ""))
	}
}

func (r *report) packageEnd(e event) {
	if e.Action != "fail" {
		return
	}
	r.printf("%s", strings.Join(r.said[test{pkg: e.Package}], "")) // such as the seed of -shuffle
	if r.failedIn[e.Package] == 0 {
		// It did not build, or it ended in the middle of a test.
		r.broken = append(r.broken, e.Package)
		for _, t := range slices.SortedFunc(maps.Keys(r.said), compare) {
			if t.pkg == e.Package && t.name != "" {
				r.printf("%s", strings.Join(r.said[t], ""))
			}
		}
	}
}

// stillRunning tells a person who waits what for.
func (r *report) stillRunning(now time.Time) {
	for _, t := range slices.SortedFunc(maps.Keys(r.since), compare) {
		if took := now.Sub(r.since[t]); t.name != "" && took > 30*time.Second {
			r.printf("     running %s %s for %s\n", t.pkg, t.name, took.Round(time.Second))
		}
	}
}

func (r *report) end() {
	for _, pkg := range r.broken {
		r.printf("---- FAILED  %s as a whole\n", pkg)
	}
	r.printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed+len(r.broken), r.skipped)
}

func (r *report) totals() string {
	return fmt.Sprintf("%d %d %d\n", r.passed, r.failed+len(r.broken), r.skipped)
}

func (r *report) hasFailed() bool { return r.failed+len(r.broken) > 0 }

func compare(a, b test) int {
	return cmp.Or(strings.Compare(a.pkg, b.pkg), strings.Compare(a.name, b.name))
}
