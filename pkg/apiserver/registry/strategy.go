package registry

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

type (
	metav1GetOptions    = metav1.GetOptions
	metav1UpdateOptions = metav1.UpdateOptions
	metav1Table         = metav1.Table
)

// strategy is how every kind is created and updated, with the particulars of
// its Resource.
type strategy struct {
	names.NameGenerator
	typer    runtime.ObjectTyper
	resource Resource
}

var (
	_ rest.RESTCreateStrategy  = strategy{}
	_ rest.RESTUpdateStrategy  = strategy{}
	_ rest.RESTDeleteStrategy  = strategy{}
	_ rest.ResetFieldsStrategy = strategy{}
)

func (s strategy) ObjectKinds(obj runtime.Object) ([]schemaGVK, bool, error) {
	return s.typer.ObjectKinds(obj)
}
func (s strategy) Recognizes(gvk schemaGVK) bool { return s.typer.Recognizes(gvk) }
func (s strategy) GenerateName(base string) string {
	return names.SimpleNameGenerator.GenerateName(base)
}
func (s strategy) NamespaceScoped() bool          { return s.resource.Namespaced }
func (s strategy) AllowCreateOnUpdate() bool      { return false }
func (s strategy) AllowUnconditionalUpdate() bool { return s.resource.UnconditionalUpdate }
func (s strategy) Canonicalize(runtime.Object)    {}
func (s strategy) WarningsOnCreate(_ context.Context, obj runtime.Object) []string {
	return s.warnings(obj)
}
func (s strategy) WarningsOnUpdate(_ context.Context, obj, _ runtime.Object) []string {
	return s.warnings(obj)
}

func (s strategy) warnings(obj runtime.Object) []string {
	if s.resource.Warnings == nil {
		return nil
	}
	return s.resource.Warnings(obj)
}

func (s strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	if s.resource.OnCreate != nil {
		s.resource.OnCreate(obj)
	}
	if m, err := meta.Accessor(obj); err == nil {
		m.SetGeneration(1)
	}
}

func (s strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	if s.resource.OnUpdate != nil {
		s.resource.OnUpdate(obj, old)
	}
	s.bump(obj, old)
}

// bump counts a change of the spec, and the beginning of a deletion.
func (s strategy) bump(obj, old runtime.Object) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	before, err := meta.Accessor(old)
	if err != nil {
		return
	}
	m.SetGeneration(before.GetGeneration())
	if s.resource.SpecChanged != nil && s.resource.SpecChanged(obj, old) {
		m.SetGeneration(before.GetGeneration() + 1)
	}
}

func (s strategy) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	errs := ValidateTimes(obj)
	if s.resource.Validate == nil {
		return errs
	}
	return append(errs, s.resource.Validate(obj)...)
}

func (s strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	if s.resource.ValidateUpdate == nil {
		return s.Validate(ctx, obj)
	}
	return append(ValidateTimes(obj), s.resource.ValidateUpdate(obj, old)...)
}

// DropFinalizers takes finalizers from an object that nobody here would ever
// remove, and leaves others alone.
func DropFinalizers(obj metav1.Object, unserved ...string) {
	if slices.ContainsFunc(obj.GetFinalizers(), func(f string) bool { return slices.Contains(unserved, f) }) {
		obj.SetFinalizers(slices.DeleteFunc(slices.Clone(obj.GetFinalizers()), func(f string) bool { return slices.Contains(unserved, f) }))
	}
}

// GetResetFields says that status is not owned through the main resource.
func (s strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	if s.resource.OnStatus == nil {
		return nil
	}
	return s.reset(fieldpath.MakePathOrDie("status"))
}

func (s strategy) reset(paths ...fieldpath.Path) map[fieldpath.APIVersion]*fieldpath.Set {
	out := map[fieldpath.APIVersion]*fieldpath.Set{}
	for _, gv := range Scheme.VersionsForGroupKind(groupKind(s.resource)) {
		out[fieldpath.APIVersion(gv.String())] = fieldpath.NewSet(paths...)
	}
	return out
}

// statusStrategy updates status alone.
type statusStrategy struct{ strategy }

func (s statusStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	KeepMetadata(obj, old)
	s.resource.OnStatus(obj, old)
}

// KeepMetadata undoes what a subresource may not change of the metadata. Field
// ownership is not undone: the status has owners, too.
func KeepMetadata(obj, old runtime.Object) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	before, err := meta.Accessor(old)
	if err != nil {
		return
	}
	m.SetLabels(before.GetLabels())
	m.SetAnnotations(before.GetAnnotations())
	m.SetFinalizers(before.GetFinalizers())
	m.SetOwnerReferences(before.GetOwnerReferences())
	m.SetGeneration(before.GetGeneration())
}

func (s statusStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	errs := ValidateTimes(obj)
	if s.resource.ValidateStatus == nil {
		return errs
	}
	return append(errs, s.resource.ValidateStatus(obj, old)...)
}

func (s statusStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (s statusStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.reset(fieldpath.MakePathOrDie("spec"), fieldpath.MakePathOrDie("metadata", "labels"), fieldpath.MakePathOrDie("metadata", "annotations"))
}
