// Command playground runs a federation and its members on one machine.
package main

import (
	"fmt"
	"os"

	"github.com/flotilla-io/flotilla/pkg/playground"
	"github.com/flotilla-io/flotilla/pkg/playground/member"
)

func main() {
	if err := playground.NewCommand(member.NewCommand()).Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}
