package playground

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func (p *playground) introduction() string {
	return fmt.Sprintf("Flotilla playground in %s: members %s; %d simulated node(s) each; %s mode. Ctrl-C stops it.",
		p.Dir, strings.Join(p.Members, ", "), p.Nodes, p.Mode)
}

// whatNext is what to type, once all is ready.
func (p *playground) whatNext() string {
	kubectl := "kubectl"
	if _, err := exec.LookPath(kubectl); err != nil {
		kubectl = filepath.Join(filepath.Dir(p.self), "kubectl")
	}
	lines := []string{
		"",
		fmt.Sprintf("Ready in %s. In another terminal:", seconds(p.tell.elapsed())),
		"",
		fmt.Sprintf("  %s --kubeconfig=%s get clusters", kubectl, filepath.Join(p.Dir, "fed-config")),
	}
	for _, name := range p.Members {
		lines = append(lines, fmt.Sprintf("  %s --kubeconfig=%s get nodes", kubectl, filepath.Join(p.Dir, "kubeconfig-"+name)))
	}
	lines = append(lines, "",
		fmt.Sprintf("Logs are in %s. Ctrl-C stops everything and keeps the data;", filepath.Join(p.Dir, "logs")),
		"the next start resumes with it, make playground-clean removes it.",
		"")
	return strings.Join(lines, "\n")
}

// explain prints what is known about a failed start, and the way out.
func (p *playground) explain(err error) {
	var failed *startError
	if !errors.As(err, &failed) {
		return
	}
	p.tell.say("%s %v, stopping everything", failed.title, errStart)
	p.tell.print(fmt.Sprintf("\nThe last lines of %s:\n\n%s\n\nThe directory is kept. Try again as it is; if that does not help, start from nothing with:\n  make playground-clean",
		failed.logFile, tail(failed.logFile, 20)))
}

// tail returns the last lines of a file, each cut to a readable length.
func tail(file string, lines int) string {
	const maxWidth, maxBytes = 400, 64 << 10
	data, err := os.ReadFile(file)
	if err != nil {
		return "  " + err.Error()
	}
	if len(data) > maxBytes {
		data = data[len(data)-maxBytes:]
	}
	all := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	var out []string
	for _, line := range all[max(0, len(all)-lines):] {
		if len(line) > maxWidth {
			line = append(line[:maxWidth:maxWidth], "..."...)
		}
		out = append(out, "  "+string(line))
	}
	return strings.Join(out, "\n")
}

// rotateLogs keeps the logs of the run before as *.log.old.
func rotateLogs(l layout) error {
	logs, err := filepath.Glob(filepath.Join(escapeGlob(l.path("logs")), "*.log"))
	if err != nil {
		return err
	}
	for _, log := range logs {
		if err := os.Rename(log, log+".old"); err != nil {
			return fmt.Errorf("log of the run before: %w", err)
		}
	}
	return nil
}

// escapeGlob makes a path match only itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
