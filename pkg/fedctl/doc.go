// Package fedctl is the command line for whoever runs a federation: bootstrap tokens, members that join
// and members that leave, and the meshes between them.
//
// A command says each step when it is done, on standard output, and ends with what comes next. What is
// said is golden in the tests. Errors say what to do. Nothing here decides what members or agents may
// do: roles are in the chart (package charts) and in the API server.
//
// Two clusters are talked to. --kubeconfig and --context are always the federation, --member-kubeconfig
// and --member-context the member.
//
// Workloads of a member stay when it leaves, unless --delete-workloads says otherwise; what is deleted
// then is what an agent has applied for this federation, see package apply.
//
// A command may be run again after it was interrupted, and does what is left.
package fedctl
