package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// value is one that a user may set.
type value struct {
	path string
	// scope is the installMode it counts for; empty for both.
	scope string
	about string
	// preset is the default, as JSON.
	preset string
}

// parse lists the documented values in the order of the file.
func parse(content []byte) ([]value, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("want one map")
	}
	return walk(nil, document.Content[0])
}

func walk(path []string, node *yaml.Node) ([]value, error) {
	var all []value
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, child := node.Content[i], node.Content[i+1]
		here := append(append([]string(nil), path...), key.Value)
		about, ok := comment(key.HeadComment)
		switch {
		case ok:
			v := value{path: strings.Join(here, "."), about: about}
			v.scope, v.about = scope(about)
			var preset any
			if err := child.Decode(&preset); err != nil {
				return nil, err
			}
			text, err := json.Marshal(preset)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.path, err)
			}
			v.preset = string(text)
			all = append(all, v)
		case child.Kind == yaml.MappingNode && len(child.Content) > 0:
			below, err := walk(here, child)
			if err != nil {
				return nil, err
			}
			all = append(all, below...)
		default:
			return nil, fmt.Errorf(`line %d: %s has no comment: write "# -- what it is for" above it`, key.Line, strings.Join(here, "."))
		}
	}
	return all, nil
}

// comment is what follows "# --", over as many lines as there are.
func comment(head string) (string, bool) {
	_, text, ok := strings.Cut(head, "# --")
	if !ok {
		return "", false
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.TrimPrefix(line, "#"))
	}
	return strings.Join(lines, " "), true
}

// scope takes "(host)" off the beginning of a comment.
func scope(about string) (mode, rest string) {
	for _, mode := range []string{"host", "agent"} {
		if rest, ok := strings.CutPrefix(about, "("+mode+") "); ok {
			return mode, rest
		}
	}
	return "", about
}
