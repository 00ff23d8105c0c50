package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	file := flag.String("totals", "", "file to append the numbers to")
	flag.Parse()
	failed, err := run(os.Stdin, os.Stdout, *file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testtotals:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// run reads events from in until they end. It reports whether anything failed.
func run(in io.Reader, out io.Writer, file string) (failed bool, err error) {
	lines, readErr := make(chan []byte), make(chan error, 1)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			lines <- append([]byte(nil), scanner.Bytes()...)
		}
		readErr <- scanner.Err()
	}()
	report := newReport(out)
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for open := true; open; {
		select {
		case line, more := <-lines:
			if open = more; !more {
				break
			}
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				report.printf("%s\n", line) // not go test's: pass it on
				continue
			}
			report.add(e)
		case now := <-tick.C:
			report.stillRunning(now)
		}
	}
	if err := <-readErr; err != nil {
		return true, err
	}
	report.end()
	if file != "" {
		if err := appendTo(file, report.totals()); err != nil {
			return true, err
		}
	}
	return report.hasFailed(), report.err
}

func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(f, text); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
