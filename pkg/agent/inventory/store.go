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
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

const (
	worksDir       = "works"
	federationFile = "federation.json"
	memberFile     = "member.json"
	clusterFile    = "cluster.json"
	holdFile       = "hold.json"
	suffix         = ".json"
	scratchPrefix  = ".tmp-"
	maxFileName    = 200
)

// Store keeps records in a directory. A Store without a directory keeps nothing: the agent then
// learns what it manages from the member's labels after each start.
type Store struct {
	dir string
	mu  sync.Mutex
	// behind are the small files that could not be written, as they should be.
	behind map[string]identity
	// trouble is why the last write failed; nil when it did not.
	trouble error
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
	return &Store{dir: dir, behind: map[string]identity{}}, nil
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

// Put writes a record, durably: one that is back to an older state after a power cut would roll the
// member back. It may be called for several works at once.
func (s *Store) Put(record *Record) error {
	if s.dir == "" {
		return nil
	}
	return s.note(s.write(filepath.Join(worksDir, fileName(record.Name)), record))
}

// Delete removes a work's record; an absent one is not an error. Its end is not synced to the disk: a
// work that is there again asks for a removal once more.
func (s *Store) Delete(work string) error {
	if s.dir == "" {
		return nil
	}
	err := os.Remove(filepath.Join(s.dir, worksDir, fileName(work)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.note(err)
}

// note keeps why a write failed, and passes it on.
func (s *Store) note(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || len(s.behind) == 0 {
		s.trouble = err
	}
	return err
}

// Trouble is why the directory is not up to date; nil when it is. What could not be written is in memory
// and in force. Each call tries to write it, if it is no record: those are tried again by their owner.
func (s *Store) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for file, value := range s.behind {
		if err := s.write(file, value); err != nil {
			s.trouble = err
			break
		}
		delete(s.behind, file)
		if len(s.behind) == 0 {
			s.trouble = nil
		}
	}
	return s.trouble
}

// identity is the content of the small files.
type identity struct {
	UID types.UID `json:"uid"`
	// Former UIDs, oldest first.
	Former []types.UID `json:"former,omitempty"`
}

// Federation is the UID of the federation this inventory belongs to; empty when none was accepted yet.
func (s *Store) Federation() (types.UID, error) { return s.readUID(federationFile) }

// FormerFederations are the ones that it belonged to before.
func (s *Store) FormerFederations() ([]types.UID, error) {
	known, err := s.readIdentity(federationFile)
	return known.Former, err
}

// SetFederation remembers a federation, durably: this file is what tells a foreign federation from ours.
// The one that was remembered before becomes a former one.
func (s *Store) SetFederation(uid types.UID) error {
	known, err := s.readIdentity(federationFile)
	if err != nil {
		return err
	}
	former := slices.DeleteFunc(append(known.Former, known.UID), func(f types.UID) bool { return f == uid || f == "" })
	return s.writeIdentity(federationFile, identity{UID: uid, Former: former})
}

// Hold is the nonce of what is held; empty when nothing is.
func (s *Store) Hold() (string, error) {
	nonce, err := s.readUID(holdFile)
	return string(nonce), err
}

// SetHold remembers that nonce, durably. An empty one forgets it.
func (s *Store) SetHold(nonce string) error {
	if nonce != "" {
		return s.writeUID(holdFile, types.UID(nonce))
	}
	if s.dir == "" {
		return nil
	}
	s.mu.Lock()
	delete(s.behind, holdFile)
	s.mu.Unlock()
	err := os.Remove(filepath.Join(s.dir, holdFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.note(err)
}

// Member is the UID of the cluster this inventory is about; empty when it is new.
func (s *Store) Member() (types.UID, error) { return s.readUID(memberFile) }

// SetMember remembers the cluster, durably.
func (s *Store) SetMember(uid types.UID) error { return s.writeUID(memberFile, uid) }

// Cluster is the UID of the Cluster object whose works this inventory is of; empty when there was none.
func (s *Store) Cluster() (types.UID, error) { return s.readUID(clusterFile) }

// SetCluster remembers the Cluster object, durably.
func (s *Store) SetCluster(uid types.UID) error { return s.writeUID(clusterFile, uid) }

func (s *Store) readUID(file string) (types.UID, error) {
	known, err := s.readIdentity(file)
	return known.UID, err
}

func (s *Store) readIdentity(file string) (identity, error) {
	if s.dir == "" {
		return identity{}, nil
	}
	s.mu.Lock()
	known, ok := s.behind[file]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	raw, err := os.ReadFile(filepath.Join(s.dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return identity{}, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &known)
	}
	if err == nil && known.UID == "" {
		err = errors.New("holds no UID")
	}
	if err != nil {
		return identity{}, fmt.Errorf("%s: %w; restore it, or remove it to accept what answers", filepath.Join(s.dir, file), err)
	}
	return known, nil
}

func (s *Store) writeUID(file string, uid types.UID) error {
	return s.writeIdentity(file, identity{UID: uid})
}

// writeIdentity does not fail when the directory cannot be written: a full disk must not keep an agent
// from its work. The value counts until the process ends, and is written later, see Trouble.
func (s *Store) writeIdentity(file string, value identity) error {
	if s.dir == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(file, value); err != nil {
		s.behind[file], s.trouble = value, err
		return nil
	}
	if delete(s.behind, file); len(s.behind) == 0 {
		s.trouble = nil
	}
	return nil
}

// write puts a file in place, whole and on the disk.
func (s *Store) write(name string, value any) error {
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
	if err == nil {
		err = scratch.Sync()
	}
	err = errors.Join(err, scratch.Close())
	if err == nil {
		err = os.Rename(scratch.Name(), path)
	}
	if err != nil {
		_ = os.Remove(scratch.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir brings the names in a directory to the disk.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
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
