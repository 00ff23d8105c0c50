package override

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// ErrNotADocument is wrapped when the text of a field is not one document of the
// format that the overrider names.
var ErrNotADocument = errors.New("the text of the field is not one document of this format; correct fieldPath, or use the other format")

// applyField changes the JSON or YAML document that is the text of a field. On
// an error it says where within the overrider.
func applyField(obj *unstructured.Unstructured, o *policyv1alpha1.FieldOverrider) (at string, err error) {
	operations, format, read, write := make([]operation, 0, len(o.JSON)+len(o.YAML)), ".json", readJSON, writeJSON
	for _, op := range o.JSON {
		operations = append(operations, newOperation(op.Operator, op.SubPath, op.Value.Raw))
	}
	if len(o.YAML) > 0 {
		operations, format, read, write = operations[:0], ".yaml", readYAML, yaml.JSONToYAML
		for _, op := range o.YAML {
			operations = append(operations, newOperation(op.Operator, op.SubPath, op.Value.Raw))
		}
	}
	at = ".fieldPath"
	err = changeText(obj.Object, o.FieldPath, func(text string) (string, error) {
		at = format
		doc, err := read(text)
		if err != nil {
			return "", err
		}
		doc, failed, err := patch(doc, operations)
		if err != nil {
			at = fmt.Sprintf("%s[%d]", format, failed)
			return "", err
		}
		out, err := write(doc)
		return string(out), err
	})
	return at, err
}

func readJSON(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if !json.Valid([]byte(text)) {
		return nil, ErrNotADocument
	}
	return []byte(text), nil
}

// writeJSON writes <, > and & as they are: the text is not for browsers. Numbers
// keep their digits.
func writeJSON(doc []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(doc))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// readYAML refuses a text of several documents, of which only the first would be
// kept.
func readYAML(text string) ([]byte, error) {
	var found []byte
	for reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text))); ; {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrNotADocument, err)
		}
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w (it has several documents)", ErrNotADocument)
		}
		found = doc
	}
	doc, err := yaml.YAMLToJSON(found)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNotADocument, err)
	}
	return doc, nil
}
