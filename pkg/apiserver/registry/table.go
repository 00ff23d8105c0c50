package registry

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/duration"
)

type schemaGVK = schema.GroupVersionKind

// Column is one column of kubectl get. The name comes first by itself.
type Column struct {
	metav1.TableColumnDefinition
	// Cell is the value for an object: a string, number or boolean.
	Cell func(obj runtime.Object) any
}

// Text is a column of strings.
func Text(name, description string, cell func(runtime.Object) string) Column {
	return Column{metav1.TableColumnDefinition{Name: name, Type: "string", Description: description},
		func(obj runtime.Object) any { return cell(obj) }}
}

// Wide moves a column to -o wide.
func Wide(c Column) Column { c.Priority = 1; return c }

// Age is the column every kind ends with.
func Age() Column {
	return Text("Age", "Time since the object was created.", func(obj runtime.Object) string {
		m, err := meta.Accessor(obj)
		if err != nil {
			return "<unknown>"
		}
		created := m.GetCreationTimestamp()
		if created.IsZero() {
			return "<unknown>"
		}
		return duration.HumanDuration(time.Since(created.Time))
	})
}

type table struct {
	columns  []Column
	resource schema.GroupResource
}

// NewTable renders tables with the given columns.
func NewTable(resource schema.GroupResource, columns []Column) interface {
	ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error)
} {
	return table{columns: columns, resource: resource}
}

// ConvertToTable implements rest.TableConvertor.
func (t table) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	out := &metav1.Table{}
	row := func(obj runtime.Object) error {
		m, err := meta.Accessor(obj)
		if err != nil {
			return fmt.Errorf("table of %s: %w", t.resource, err)
		}
		cells := make([]any, 0, 1+len(t.columns))
		cells = append(cells, m.GetName())
		for _, c := range t.columns {
			cells = append(cells, c.Cell(obj))
		}
		out.Rows = append(out.Rows, metav1.TableRow{Cells: cells, Object: runtime.RawExtension{Object: obj}})
		return nil
	}
	if meta.IsListType(object) {
		if err := meta.EachListItem(object, row); err != nil {
			return nil, err
		}
	} else if err := row(object); err != nil {
		return nil, err
	}
	if l, err := meta.ListAccessor(object); err == nil {
		out.ResourceVersion, out.Continue, out.RemainingItemCount = l.GetResourceVersion(), l.GetContinue(), l.GetRemainingItemCount()
	} else if c, err := meta.CommonAccessor(object); err == nil {
		out.ResourceVersion = c.GetResourceVersion()
	}
	if opt, ok := options.(*metav1.TableOptions); !ok || !opt.NoHeaders {
		out.ColumnDefinitions = append(out.ColumnDefinitions, metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: "Name of the object."})
		for _, c := range t.columns {
			out.ColumnDefinitions = append(out.ColumnDefinitions, c.TableColumnDefinition)
		}
	}
	return out, nil
}

func groupKind(r Resource) schema.GroupKind {
	kinds, _, err := Scheme.ObjectKinds(r.New())
	if err != nil || len(kinds) == 0 {
		return schema.GroupKind{Group: r.Group.Group}
	}
	return kinds[0].GroupKind()
}
