package main

import (
	"context"
	"strings"
	"testing"
)

func TestRunRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(*options)
		want   string
	}{
		"NoWorkers":    {reason: "nobody would decide", edit: func(o *options) { o.workers = 0 }, want: "--workers"},
		"NoName":       {reason: "an empty name serves nobody", edit: func(o *options) { o.schedulerName = "" }, want: "--scheduler-name"},
		"NoKubeconfig": {reason: "a file that is not there is named", edit: func(o *options) { o.kubeconfig = "/does/not/exist" }, want: "/does/not/exist"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			opts := newOptions()
			tc.edit(opts)
			if err := run(context.Background(), opts); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want an error about %s", tc.reason, err, tc.want)
			}
		})
	}
}

func TestLeaseName(t *testing.T) {
	opts := newOptions()
	standard := opts.leaseName()
	opts.schedulerName = "mine"
	if opts.leaseName() == standard {
		t.Error("schedulers of different names would wait for each other")
	}
}

func TestQueuesEnd(t *testing.T) {
	if q := managerOptions(newOptions()).Controller.UsePriorityQueue; q == nil || *q {
		t.Error("the queue by priority can hang when the process ends")
	}
}
