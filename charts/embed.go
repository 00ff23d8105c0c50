// Package charts holds the Helm chart of Flotilla, the one renderer for
// installation: Helm reads it from the repository or a registry, and fedctl from
// here, so that what "fedctl register" installs is what "helm upgrade" can take
// over later.
package charts

import "embed"

// Flotilla is the chart; its files are below the folder "flotilla".
//
//go:embed all:flotilla
var Flotilla embed.FS
