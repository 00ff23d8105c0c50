package override

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrPathNotFound is wrapped when a path leads nowhere in the manifest.
var ErrPathNotFound = errors.New("there is no such field in the manifest; correct the path, or narrow the policy's resourceSelectors")

// ErrNotText is wrapped when a path leads to something else than text.
var ErrNotText = errors.New("the field is not text; correct the path")

// changeText replaces the text that a JSON pointer (RFC 6901) leads to by what
// change makes of it. Everything on the way must exist.
func changeText(doc map[string]any, pointer string, change func(string) (string, error)) error {
	if !strings.HasPrefix(pointer, "/") {
		return fmt.Errorf("path %q: must begin with /: %w", pointer, ErrPathNotFound)
	}
	var value any = doc
	set := func(string) {}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch container := value.(type) {
		case map[string]any:
			next, ok := container[token]
			if !ok {
				return fmt.Errorf("path %q: %w", pointer, ErrPathNotFound)
			}
			value, set = next, func(s string) { container[token] = s }
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(container) {
				return fmt.Errorf("path %q: %w", pointer, ErrPathNotFound)
			}
			value, set = container[i], func(s string) { container[i] = s }
		default:
			return fmt.Errorf("path %q: %w", pointer, ErrPathNotFound)
		}
	}
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("path %q: %w", pointer, ErrNotText)
	}
	text, err := change(text)
	if err != nil {
		return err
	}
	set(text)
	return nil
}
