package names

import (
	"hash/fnv"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/rand"
)

// objectName makes a name of any kind usable as the name of one of our own
// objects: some kinds, such as roles, allow capitals and colons.
func objectName(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), ":", ".")
}

// BindingName is the name of the binding of a template. It lies in the
// template's namespace, if it has one.
func BindingName(kind, name string) string {
	return objectName(name + "-" + kind)
}

// WorkName is the name of the Work of a template, the same in every execution
// namespace. The hash, FNV-1a over 32 bits, keeps templates of equal name but
// different kind or namespace apart; namespace is empty for cluster-scoped
// templates.
func WorkName(kind, namespace, name string) string {
	name = objectName(name)
	key := name + "-" + strings.ToLower(kind)
	if namespace != "" {
		key = strings.ToLower(namespace) + "-" + key
	}
	hash := fnv.New32a()
	hash.Write([]byte(key)) // never fails
	return name + "-" + rand.SafeEncodeString(strconv.FormatUint(uint64(hash.Sum32()), 10))
}

// ExecutionNamespace is the namespace that holds a cluster's Works.
func ExecutionNamespace(cluster string) string {
	return ExecutionNamespacePrefix + cluster
}

// ClusterOf is the reverse of ExecutionNamespace; empty and false when the
// namespace is not an execution namespace, also when a cluster has its name.
func ClusterOf(executionNamespace string) (string, bool) {
	cluster, ok := strings.CutPrefix(executionNamespace, ExecutionNamespacePrefix)
	if !ok || cluster == "" {
		return "", false
	}
	return cluster, true
}

// RequestPrefix begins the names of the certificate requests of a cluster's agent;
// the API server adds a random part without a dash.
func RequestPrefix(cluster string) string { return "agent-" + cluster + "-" }

// IsReservedNamespace says whether a namespace belongs to Kubernetes or to the
// federation itself. Nothing in it is a template, and it is not created in
// members.
func IsReservedNamespace(namespace string) bool {
	return strings.HasPrefix(namespace, "kube-") || strings.HasPrefix(namespace, "karmada-")
}
