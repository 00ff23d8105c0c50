// Package status brings what the agent observes of works to the federation, in batches.
//
// Only the newest observation of a work counts: one that changes while it waits is replaced, one that
// is equal to what the federation has taken already is not sent. The first change after a quiet time
// is sent at once, what follows within Options.Interval is gathered.
//
// The federation folds observations in memory before it writes them, so one that crashed may have
// lost what it had taken, and so may another API server: with each full list of works Reset makes
// everything be sent again. That does not cover all that several API servers can lose between them:
// one may write what it was told long ago over what another was told since, or die with a report of
// an agent that follows another. So everything is sent again now and then, too; what the federation
// knows costs it no write.
//
// An observation that the federation refuses, because it has no such work, is kept: the work may be
// listed (again) without having changed, then Listed makes it be sent once more. It is also sent
// again by itself, ever more rarely, in case another API server was behind.
//
// A report is bounded in observations and in bytes, and halved when the federation finds it too large. A
// single observation that is too large goes without its status.
//
// Concurrency: Reporter is safe for concurrent use; Run is called once.
package status
