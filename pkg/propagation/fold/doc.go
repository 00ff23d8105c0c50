// Package fold turns what agents observe into the aggregated status of bindings.
//
// Agents report many Works at once; a Folder keeps the reports of one binding
// together and writes its status at most once per window. A binding whose every
// cluster has applied and is healthy is written at once, so a rollout that
// succeeds costs one write, whatever the number of clusters; one that takes its
// time costs one write per window.
//
// Only what is not yet written is held, so memory is bounded by what agents
// report within a window. A report that is lost with the process is made again:
// agents repeat everything when the API server's epoch changes. Each write
// merges only the clusters that reported to this process, so several API
// servers can fold one binding.
package fold
