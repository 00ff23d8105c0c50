package mesh

import (
	"fmt"
	"regexp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// trouble is why something is not as it is to be; the zero value is none.
type trouble struct{ reason, message string }

func troubled(reason, format string, args ...any) trouble {
	return trouble{reason: reason, message: steady(fmt.Sprintf(format, args...))}
}

// changing is what is different in every error: this side of a connection, and the time.
var changing = regexp.MustCompile(`\S+->|current time \S+ `)

// steady makes two messages about the same the same.
func steady(message string) string { return changing.ReplaceAllString(message, "") }

// managed tells whether an entry of managedFields is that of what is taken back.
func managed(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == manager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
}
