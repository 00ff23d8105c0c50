// Package registration tests how members come and go: tokens, certificates and their renewal, revocation,
// wrong clocks, both modes, and what stays in a member.
//
// The members are real kube-apiservers. What "fedctl register" installs into them is what Helm renders, but
// nothing runs pods there, so the tests start the agent's binary themselves: with the flags of the rendered
// Deployment, and the rights of the rendered service account.
//
// A machine's clock cannot be moved for one process. Wrong clocks are given to the agent's identity
// (pkg/agent/identity) in the test's own process, which talks to the real federation; and certificates that
// end within seconds are signed with the federation's key, because its API gives none for less than ten
// minutes.
package registration
