package playground

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrLeftovers says that a directory was not removed because of files that
// are not the playground's.
var ErrLeftovers = errors.New("other files are left")

// Clean removes what a playground made in dir, and dir itself if nothing else
// is in it. It refuses while a playground runs there and when dir was never
// one's. An absent directory is clean.
func Clean(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	l := layout(dir)
	if _, err := readState(l); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %s has no playground.json; nothing was removed", ErrNotOurs, dir)
		}
		return err
	}
	lock, err := lockDir(l)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()

	for _, pattern := range made {
		if err := removeMatching(dir, pattern); err != nil {
			return fmt.Errorf("clean %s: %w", dir, err)
		}
	}
	left, err := entryNames(dir)
	if err != nil {
		return fmt.Errorf("clean %s: %w", dir, err)
	}
	if len(left) > 0 {
		return fmt.Errorf("%w in %s: %q; the playground's own are removed", ErrLeftovers, dir, left)
	}
	return os.Remove(dir)
}

func removeMatching(dir, pattern string) error {
	names, err := entryNames(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if match, _ := filepath.Match(pattern, name); match {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func entryNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}
