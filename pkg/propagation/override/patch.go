package override

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// ErrPatchFailed is wrapped when a change does not fit the document: a path that
// leads nowhere, or a parent that is not there yet.
var ErrPatchFailed = errors.New("the change does not fit; what is replaced or removed must exist, and so must the parent of what is added")

// operation is one operation of a JSON patch (RFC 6902).
type operation struct {
	Op    policyv1alpha1.OverriderOperator `json:"op"`
	Path  string                           `json:"path"`
	Value json.RawMessage                  `json:"value,omitempty"`
}

func newOperation(op policyv1alpha1.OverriderOperator, path string, value []byte) operation {
	if op == policyv1alpha1.OverriderOpRemove {
		value = nil
	} else if len(value) == 0 {
		value = []byte("null")
	}
	return operation{Op: op, Path: path, Value: value}
}

// patch applies the operations in order to a JSON document. On an error it says
// at which of them.
func patch(doc []byte, operations []operation) (_ []byte, failed int, err error) {
	for i := range operations {
		if doc, err = patchOne(doc, &operations[i]); err != nil {
			return nil, i, err
		}
	}
	return doc, 0, nil
}

func patchOne(doc []byte, op *operation) ([]byte, error) {
	switch op.Op {
	case policyv1alpha1.OverriderOpAdd, policyv1alpha1.OverriderOpRemove, policyv1alpha1.OverriderOpReplace:
	default:
		return nil, unknownOperator(op.Op)
	}
	// The library panics on documents that have no places in them, and would
	// replace the whole document for an empty path.
	if doc = bytes.TrimSpace(doc); len(doc) == 0 || doc[0] != '{' && doc[0] != '[' || !strings.HasPrefix(op.Path, "/") {
		return nil, fmt.Errorf("%s %q: %w", op.Op, op.Path, ErrPatchFailed)
	}
	data, err := json.Marshal([]*operation{op})
	if err != nil {
		return nil, err
	}
	p, err := jsonpatch.DecodePatch(data)
	if err != nil {
		return nil, err
	}
	out, err := p.Apply(doc)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w (%w)", op.Op, op.Path, ErrPatchFailed, err)
	}
	return out, nil
}

// applyPlaintext changes fields of the manifest by path. On an error it says at
// which overrider.
func applyPlaintext(obj *unstructured.Unstructured, overriders []policyv1alpha1.PlaintextOverrider) (int, error) {
	if len(overriders) == 0 {
		return 0, nil
	}
	operations := make([]operation, len(overriders))
	for i := range overriders {
		operations[i] = newOperation(overriders[i].Operator, overriders[i].Path, overriders[i].Value.Raw)
	}
	doc, err := json.Marshal(obj.Object)
	if err != nil {
		return 0, err
	}
	doc, failed, err := patch(doc, operations)
	if err != nil {
		return failed, err
	}
	var changed map[string]any
	if err := utiljson.Unmarshal(doc, &changed); err != nil {
		return len(overriders) - 1, fmt.Errorf("the manifest would no longer be an object: %w", err)
	}
	obj.Object = changed
	return 0, nil
}
