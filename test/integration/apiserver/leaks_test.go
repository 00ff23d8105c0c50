package apiserver

import (
	"fmt"
	"time"

	"go.uber.org/goleak"
)

// forLife is what Kubernetes starts for the life of a process.
var forLife = []goleak.Option{
	// The health check "log" looks after klog with wait.Forever.
	goleak.IgnoreAnyFunction("k8s.io/apimachinery/pkg/util/wait.Forever"),
}

// leaks fails when something still runs after the server has ended.
func leaks() error {
	var err error
	for range 50 { // what has been told to end needs a moment
		if err = goleak.Find(forLife...); err == nil {
			return nil
		}
		<-time.After(100 * time.Millisecond)
	}
	return fmt.Errorf("still running after the server: %w", err)
}
