package main

import (
	"bytes"
	"fmt"
	"strings"
)

const (
	begin = "<!-- values -->\n"
	end   = "<!-- /values -->\n"
	// longest is what fits into a table.
	longest = 60
)

// render writes a table for each scope.
func render(values []value) string {
	text := &strings.Builder{}
	for _, section := range []struct{ scope, title string }{
		{"", "Both modes"},
		{"host", "`installMode=host`"},
		{"agent", "`installMode=agent`"},
	} {
		fmt.Fprintf(text, "\n### %s\n\n| value | default | |\n|---|---|---|\n", section.title)
		for _, v := range values {
			if v.scope == section.scope {
				fmt.Fprintf(text, "| `%s` | %s | %s |\n", v.path, preset(v.preset), cell(v.about))
			}
		}
	}
	return text.String()
}

func preset(json string) string {
	switch {
	case json == `""`:
		return ""
	case len(json) > longest:
		return "see [values.yaml](values.yaml)"
	}
	return "`" + cell(strings.Trim(json, `"`)) + "`"
}

// cell is text that does not end a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// insert puts text between the markers of a README.
func insert(readme []byte, text string) ([]byte, error) {
	before, rest, ok := bytes.Cut(readme, []byte(begin))
	if !ok {
		return nil, fmt.Errorf("has no line %q for the tables to follow", strings.TrimSpace(begin))
	}
	_, after, ok := bytes.Cut(rest, []byte(end))
	if !ok {
		return nil, fmt.Errorf("has no line %q for the tables to end at", strings.TrimSpace(end))
	}
	return []byte(string(before) + begin + text + "\n" + end + string(after)), nil
}
