//go:build !linux

package realnode

import "testing"

func TestClusters(t *testing.T) { t.Skip("real nodes need Linux") }
