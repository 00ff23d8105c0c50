package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

const (
	worksDir       = "works"
	federationFile = "federation.json"
	memberFile     = "member.json"
	clusterFile    = "cluster.json"
	suffix         = ".json"
	scratchPrefix  = ".tmp-"
	maxFileName    = 200
)

// Store keeps records in a directory. A Store without a directory keeps nothing: the agent then
// learns what it manages from the member's labels after each start.
type Store struct {
	dir string
	mu  sync.Mutex
}

// Open prepares dir (created when absent, mode 0700). An empty dir gives a Store that keeps nothing.
func Open(dir string) (*Store, error) {
	if dir == "" {
		return &Store{}, nil
	}
	if err := os.MkdirAll(filepath.Join(dir, worksDir), 0o700); err != nil {
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	for _, d := range []string{dir, filepath.Join(dir, worksDir)} {
		if err := os.Chmod(d, 0o700); err != nil {
			return nil, fmt.Errorf("state directory %s must belong to the agent's user: %w", d, err)
		}
	}
	return &Store{dir: dir}, nil
}

// Load reads every record. Files that cannot be read or parsed are reported and skipped: what they
// named is found again through the federation or the member's labels.
func (s *Store) Load() ([]*Record, []error) {
	if s.dir == "" {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(filepath.Join(s.dir, worksDir))
	if err != nil {
		return nil, []error{fmt.Errorf("state directory: %w", err)}
	}
	var records []*Record
	var broken []error
	for _, entry := range entries {
		path := filepath.Join(s.dir, worksDir, entry.Name())
		if strings.HasPrefix(entry.Name(), scratchPrefix) {
			_ = os.Remove(path) // left by an agent that died while writing
			continue
		}
		if !strings.HasSuffix(entry.Name(), suffix) {
			continue
		}
		record := &Record{}
		raw, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(raw, record)
		}
		if err == nil && record.Name == "" {
			err = errors.New("names no work")
		}
		if err != nil {
			broken = append(broken, fmt.Errorf("state file %s: %w", path, err))
			continue
		}
		records = append(records, record)
	}
	return records, broken
}

// Put writes a record. It is not synced to the disk: after a power cut the last records may be
// missing, which is the case of a lost directory in small.
func (s *Store) Put(record *Record) error {
	if s.dir == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(filepath.Join(worksDir, fileName(record.Name)), record, false)
}

// Delete removes a work's record; an absent one is not an error.
func (s *Store) Delete(work string) error {
	if s.dir == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := os.Remove(filepath.Join(s.dir, worksDir, fileName(work)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

type identity struct {
	UID types.UID `json:"uid"`
}

// Federation is the UID of the federation this inventory belongs to; empty when none was accepted yet.
func (s *Store) Federation() (types.UID, error) { return s.readUID(federationFile) }

// SetFederation remembers a federation, durably: this file is what tells a foreign federation from ours.
func (s *Store) SetFederation(uid types.UID) error { return s.writeUID(federationFile, uid) }

// Member is the UID of the cluster this inventory is about; empty when it is new.
func (s *Store) Member() (types.UID, error) { return s.readUID(memberFile) }

// SetMember remembers the cluster, durably.
func (s *Store) SetMember(uid types.UID) error { return s.writeUID(memberFile, uid) }

// Cluster is the UID of the Cluster object whose works this inventory is of; empty when there was none.
func (s *Store) Cluster() (types.UID, error) { return s.readUID(clusterFile) }

// SetCluster remembers the Cluster object, durably.
func (s *Store) SetCluster(uid types.UID) error { return s.writeUID(clusterFile, uid) }

func (s *Store) readUID(file string) (types.UID, error) {
	if s.dir == "" {
		return "", nil
	}
	raw, err := os.ReadFile(filepath.Join(s.dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var known identity
	if err == nil {
		err = json.Unmarshal(raw, &known)
	}
	if err == nil && known.UID == "" {
		err = errors.New("holds no UID")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w; restore it, or remove it to accept what answers", filepath.Join(s.dir, file), err)
	}
	return known.UID, nil
}

func (s *Store) writeUID(file string, uid types.UID) error {
	if s.dir == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(file, identity{UID: uid}, true)
}

func (s *Store) write(name string, value any, durable bool) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, name)
	scratch, err := os.CreateTemp(filepath.Dir(path), scratchPrefix+"*") // mode 0600
	if err != nil {
		return err
	}
	_, err = scratch.Write(raw)
	if err == nil && durable {
		err = scratch.Sync()
	}
	err = errors.Join(err, scratch.Close())
	if err == nil {
		err = os.Rename(scratch.Name(), path)
	}
	if err != nil {
		_ = os.Remove(scratch.Name())
	}
	return err
}

// fileName maps a work's name, which may be longer than a file name, to a file name. Names of
// objects hold no path separators; one that does is hashed like a long one.
func fileName(work string) string {
	if len(work) <= maxFileName && !strings.ContainsAny(work, `/\`) && !strings.HasPrefix(work, ".") {
		return work + suffix
	}
	sum := sha256.Sum256([]byte(work))
	return "sha256-" + hex.EncodeToString(sum[:]) + suffix
}
