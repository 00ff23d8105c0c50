package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chartdocs:", err)
		os.Exit(1)
	}
}

// errBehind marks a README that does not say what values.yaml says.
var errBehind = errors.New("is not what values.yaml says: run make generate and commit the result")

func run(args []string) error {
	flags := flag.NewFlagSet("chartdocs", flag.ContinueOnError)
	verify := flags.Bool("verify", false, "change nothing; fail if the README is behind")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want the directory of one chart, got %q", flags.Args())
	}
	chart := flags.Arg(0)
	content, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	values, err := parse(content)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(chart, "values.yaml"), err)
	}
	path := filepath.Join(chart, "README.md")
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	after, err := insert(before, render(values))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if bytes.Equal(before, after) {
		return nil
	}
	if *verify {
		return fmt.Errorf("%s %w", path, errBehind)
	}
	return os.WriteFile(path, after, 0o644)
}
