//go:build !linux

package install

import "testing"

func TestInstallation(t *testing.T) { t.Skip("real nodes need Linux") }
