package encryption

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// FileName is what the file is called in a directory or a Secret.
const FileName = "encryption.yaml"

// keyBytes is what secretbox wants.
const keyBytes = 32

// NewConfig is the content of a file with a new key.
func NewConfig() ([]byte, error) {
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("key of encryption at rest: %w", err)
	}
	return fmt.Appendf(nil, `# How this federation encrypts Secrets in etcd, and Works that somebody made, which
# may hold Secrets. Whoever has this file and the data can read them; without this
# file nobody can, so keep a copy elsewhere.
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets, works.work.karmada.io]
    providers:
      - secretbox:
          keys:
            - name: key1
              secret: %s
      # What was written before there was a key.
      - identity: {}
`, base64.StdEncoding.EncodeToString(key)), nil
}
