package playground

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ErrRunning says that another playground has the directory.
var ErrRunning = errors.New("a playground is running there")

// lockDir takes the lock of a directory. It is the kernel's, so it is gone
// with its holder even after SIGKILL; the id in the file is for people.
func lockDir(l layout) (*os.File, error) {
	if err := os.MkdirAll(string(l), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(l.lock(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", l.lock(), err)
		}
		holder := "its id is not known"
		if data, err := os.ReadFile(l.lock()); err == nil && len(data) > 0 {
			holder = "process " + strings.TrimSpace(string(data))
		}
		return nil, fmt.Errorf("%w: %s belongs to %s; stop that one with Ctrl-C, or use another --dir", ErrRunning, l, holder)
	}
	err = file.Truncate(0)
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", l.lock(), err), file.Close())
	}
	return file, nil
}
