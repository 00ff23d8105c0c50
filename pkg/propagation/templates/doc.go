// Package templates gives the propagation controllers the metadata of templates:
// of claimed ones from memory, of any other by live requests.
//
// A template can be of any kind, and a federation has many more objects than
// templates. So the Store watches metadata only, only of kinds that somebody
// asked for with Ensure, and only of objects with the label names.LabelBound,
// that is, those which were claimed at some time. What has never been claimed is
// in no cache; late claims list it live, page by page.
//
// # Invariants
//
//   - A kind is watched in one version, the one the API server prefers. Keys
//     have no version: an object served in two versions is one template.
//   - A kind that is no longer served in the version where it is watched stays known
//     as it was, until it is watched where it is served. What went meanwhile is told
//     then. That a version is not served never counts as a template that is gone.
//   - Objects handed out are shared with the cache and must not be changed.
//   - managedFields and kubectl's last-applied annotation are not held.
//
// # Concurrency
//
// A Store is safe for concurrent use. It owns one goroutine per watched kind, and one
// more while it is looked for elsewhere; all of them have ended when Start returns.
package templates
