package apiserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrDataDirInUse means that another API server works in the data directory.
var ErrDataDirInUse = errors.New("the data directory is in use")

// lockDataDir makes dir ours until the file is closed. Two servers in one
// directory would take the embedded etcd's socket from each other and make
// certificates over each other. The kernel drops the lock with the process, so
// nothing has to be cleaned up after a crash; the id in the file is for people.
func lockDataDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := ""
		if data, readErr := os.ReadFile(path); readErr == nil && len(data) > 0 {
			holder = " (process " + strings.TrimSpace(string(data)) + ")"
		}
		_ = file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("--data-dir: lock %s: %w", path, err)
		}
		return nil, fmt.Errorf("%w: another API server%s works in --data-dir %s; stop it, or use another directory", ErrDataDirInUse, holder, dir)
	}
	if err := errors.Join(file.Truncate(0), pid(file)); err != nil {
		return nil, errors.Join(fmt.Errorf("--data-dir: write %s: %w", path, err), file.Close())
	}
	return file, nil
}

func pid(file *os.File) error {
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}
