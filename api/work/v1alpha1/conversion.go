package v1alpha1

import (
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// RegisterConversions registers the conversions between the two versions of
// bindings, in both directions. They lose nothing; see conversion_binding.go.
// The result may share memory with the argument, as is usual in conversions;
// the argument is not changed.
func RegisterConversions(scheme *runtime.Scheme) error {
	for _, register := range []func(*runtime.Scheme) error{
		conversionFunc(Convert_v1alpha1_ResourceBinding_To_v1alpha2_ResourceBinding),
		conversionFunc(Convert_v1alpha2_ResourceBinding_To_v1alpha1_ResourceBinding),
		conversionFunc(Convert_v1alpha1_ResourceBindingList_To_v1alpha2_ResourceBindingList),
		conversionFunc(Convert_v1alpha2_ResourceBindingList_To_v1alpha1_ResourceBindingList),
		conversionFunc(Convert_v1alpha1_ClusterResourceBinding_To_v1alpha2_ClusterResourceBinding),
		conversionFunc(Convert_v1alpha2_ClusterResourceBinding_To_v1alpha1_ClusterResourceBinding),
		conversionFunc(Convert_v1alpha1_ClusterResourceBindingList_To_v1alpha2_ClusterResourceBindingList),
		conversionFunc(Convert_v1alpha2_ClusterResourceBindingList_To_v1alpha1_ClusterResourceBindingList),
	} {
		if err := register(scheme); err != nil {
			return err
		}
	}
	return nil
}

func conversionFunc[In, Out any](convert func(*In, *Out, conversion.Scope) error) func(*runtime.Scheme) error {
	return func(scheme *runtime.Scheme) error {
		return scheme.AddConversionFunc((*In)(nil), (*Out)(nil), func(in, out any, scope conversion.Scope) error {
			return convert(in.(*In), out.(*Out), scope)
		})
	}
}

// Convert_v1alpha1_ResourceBinding_To_v1alpha2_ResourceBinding converts upwards.
func Convert_v1alpha1_ResourceBinding_To_v1alpha2_ResourceBinding(in *ResourceBinding, out *workv1alpha2.ResourceBinding, _ conversion.Scope) error {
	out.ObjectMeta = in.ObjectMeta
	return up(&out.ObjectMeta, &in.Spec, &in.Status, &out.Spec, &out.Status)
}

// Convert_v1alpha2_ResourceBinding_To_v1alpha1_ResourceBinding converts downwards.
func Convert_v1alpha2_ResourceBinding_To_v1alpha1_ResourceBinding(in *workv1alpha2.ResourceBinding, out *ResourceBinding, _ conversion.Scope) error {
	out.ObjectMeta = in.ObjectMeta
	return down(&out.ObjectMeta, &in.Spec, &in.Status, &out.Spec, &out.Status)
}

// Convert_v1alpha1_ClusterResourceBinding_To_v1alpha2_ClusterResourceBinding converts upwards.
func Convert_v1alpha1_ClusterResourceBinding_To_v1alpha2_ClusterResourceBinding(in *ClusterResourceBinding, out *workv1alpha2.ClusterResourceBinding, _ conversion.Scope) error {
	out.ObjectMeta = in.ObjectMeta
	return up(&out.ObjectMeta, &in.Spec, &in.Status, &out.Spec, &out.Status)
}

// Convert_v1alpha2_ClusterResourceBinding_To_v1alpha1_ClusterResourceBinding converts downwards.
func Convert_v1alpha2_ClusterResourceBinding_To_v1alpha1_ClusterResourceBinding(in *workv1alpha2.ClusterResourceBinding, out *ClusterResourceBinding, _ conversion.Scope) error {
	out.ObjectMeta = in.ObjectMeta
	return down(&out.ObjectMeta, &in.Spec, &in.Status, &out.Spec, &out.Status)
}

// Convert_v1alpha1_ResourceBindingList_To_v1alpha2_ResourceBindingList converts upwards.
func Convert_v1alpha1_ResourceBindingList_To_v1alpha2_ResourceBindingList(in *ResourceBindingList, out *workv1alpha2.ResourceBindingList, scope conversion.Scope) (err error) {
	out.ListMeta = in.ListMeta
	out.Items, err = items(in.Items, scope, Convert_v1alpha1_ResourceBinding_To_v1alpha2_ResourceBinding)
	return err
}

// Convert_v1alpha2_ResourceBindingList_To_v1alpha1_ResourceBindingList converts downwards.
func Convert_v1alpha2_ResourceBindingList_To_v1alpha1_ResourceBindingList(in *workv1alpha2.ResourceBindingList, out *ResourceBindingList, scope conversion.Scope) (err error) {
	out.ListMeta = in.ListMeta
	out.Items, err = items(in.Items, scope, Convert_v1alpha2_ResourceBinding_To_v1alpha1_ResourceBinding)
	return err
}

// Convert_v1alpha1_ClusterResourceBindingList_To_v1alpha2_ClusterResourceBindingList converts upwards.
func Convert_v1alpha1_ClusterResourceBindingList_To_v1alpha2_ClusterResourceBindingList(in *ClusterResourceBindingList, out *workv1alpha2.ClusterResourceBindingList, scope conversion.Scope) (err error) {
	out.ListMeta = in.ListMeta
	out.Items, err = items(in.Items, scope, Convert_v1alpha1_ClusterResourceBinding_To_v1alpha2_ClusterResourceBinding)
	return err
}

// Convert_v1alpha2_ClusterResourceBindingList_To_v1alpha1_ClusterResourceBindingList converts downwards.
func Convert_v1alpha2_ClusterResourceBindingList_To_v1alpha1_ClusterResourceBindingList(in *workv1alpha2.ClusterResourceBindingList, out *ClusterResourceBindingList, scope conversion.Scope) (err error) {
	out.ListMeta = in.ListMeta
	out.Items, err = items(in.Items, scope, Convert_v1alpha2_ClusterResourceBinding_To_v1alpha1_ClusterResourceBinding)
	return err
}

func items[In, Out any](in []In, scope conversion.Scope, convert func(*In, *Out, conversion.Scope) error) ([]Out, error) {
	if in == nil {
		return nil, nil
	}
	out := make([]Out, len(in))
	for i := range in {
		if err := convert(&in[i], &out[i], scope); err != nil {
			return nil, err
		}
	}
	return out, nil
}
