package validation

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clusterv1alpha1 "github.com/flotilla-io/flotilla/api/cluster/v1alpha1"
)

// validateResourceModels checks that the grades number 0, 1, 2 and so on, in any
// order of writing, that all bound the same resources, and that each grade's
// ranges begin where those of the grade below end.
func validateResourceModels(models []clusterv1alpha1.ResourceModel, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	order := make([]int, len(models))
	for i := range models {
		order[i] = i
		errs = append(errs, validateRanges(models[i].Ranges, path.Index(i).Child("ranges"))...)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(models[a].Grade, models[b].Grade) })
	for grade, i := range order {
		if int64(models[i].Grade) != int64(grade) {
			return append(errs, field.Invalid(path.Index(i).Child("grade"), models[i].Grade,
				fmt.Sprintf("grades count from 0 without gaps or repetition; %d is expected here", grade)))
		}
	}
	for grade := 1; grade < len(order); grade++ {
		below, above := order[grade-1], order[grade]
		errs = append(errs, validateContiguous(models[below].Ranges, models[above].Ranges, path.Index(above).Child("ranges"))...)
	}
	return errs
}

func validateRanges(ranges []clusterv1alpha1.ResourceModelRange, path *field.Path) field.ErrorList {
	if len(ranges) == 0 {
		return field.ErrorList{field.Required(path, "bound at least one resource, such as cpu")}
	}
	var errs field.ErrorList
	seen := map[corev1.ResourceName]bool{}
	for i := range ranges {
		r, p := &ranges[i], path.Index(i)
		if r.Name == "" {
			errs = append(errs, field.Required(p.Child("name"), "name a resource, such as cpu"))
		} else if seen[r.Name] {
			errs = append(errs, field.Duplicate(p.Child("name"), r.Name))
		}
		seen[r.Name] = true
		if r.Min.Sign() < 0 {
			errs = append(errs, field.Invalid(p.Child("min"), r.Min.String(), "must not be negative"))
		}
		if r.Min.Cmp(r.Max) >= 0 {
			errs = append(errs, field.Invalid(p.Child("max"), r.Max.String(), fmt.Sprintf("must be greater than min, which is %s", r.Min.String())))
		}
	}
	return errs
}

func validateContiguous(below, above []clusterv1alpha1.ResourceModelRange, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	ends := map[corev1.ResourceName]*clusterv1alpha1.ResourceModelRange{}
	for i := range below {
		ends[below[i].Name] = &below[i]
	}
	for i := range above {
		r, p := &above[i], path.Index(i)
		end, ok := ends[r.Name]
		if !ok {
			errs = append(errs, field.Invalid(p.Child("name"), r.Name, "every grade must bound the same resources, and the grade below does not have this one"))
			continue
		}
		if r.Min.Cmp(end.Max) != 0 {
			errs = append(errs, field.Invalid(p.Child("min"), r.Min.String(),
				fmt.Sprintf("must be where the grade below ends, which is %s", end.Max.String())))
		}
		delete(ends, r.Name)
	}
	for i := range below {
		if _, missing := ends[below[i].Name]; missing {
			errs = append(errs, field.Required(path, fmt.Sprintf("every grade must bound the same resources; add %s", below[i].Name)))
		}
	}
	return errs
}
