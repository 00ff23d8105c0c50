// Package audit holds the audit policy of a federation that brings none of its own.
package audit

import _ "embed"

// FileName is what the policy is called in the data directory.
const FileName = "audit-policy.yaml"

// Policy is of kind Policy in audit.k8s.io/v1.
//
//go:embed policy.yaml
var Policy []byte
