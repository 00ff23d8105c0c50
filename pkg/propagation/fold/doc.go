// Package fold turns what agents observe into the aggregated status of bindings.
//
// Agents report many Works at once; a Folder keeps the reports of one binding
// together. A binding whose every cluster has applied and is healthy is written
// at once; any other when a window has passed without news, or after five
// windows of news. So a rollout that succeeds within that time costs one write,
// whatever the number of clusters, and one that takes longer one write for every
// five windows.
//
// What a cluster says of a namespace, or of the stub of a Service, belongs to no
// binding's status and is passed on as it comes: a stub that cannot be applied does
// not make its binding look failed. When a stub becomes a share, what was said of it
// comes back by Add, since an agent says nothing twice.
//
// Only what is not yet written is held, so memory is bounded by what agents
// report within a window. A report that is lost with the process is made again:
// agents repeat everything when the API server's epoch changes, and now and then.
// Each write merges only the clusters that reported to this process, so several
// API servers can fold one binding. One that writes late what it was told before
// another was told better is put right by the next repetition; a report that says
// what is stored costs no write.
package fold
