package registry

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// lastYear is the last one that RFC 3339 can write.
const lastYear = 9999

// ValidateTimes refuses times that would be stored and could not be read back, after
// which nobody could list the kind any more: "9999-12-31T23:59:59-12:00" is a time in
// RFC 3339, but not in UTC, in which it is stored.
func ValidateTimes(obj runtime.Object) field.ErrorList {
	return timesIn(reflect.ValueOf(obj), nil)
}

var (
	typeOfTime      = reflect.TypeFor[metav1.Time]()
	typeOfMicroTime = reflect.TypeFor[metav1.MicroTime]()
)

func timesIn(v reflect.Value, path *field.Path) field.ErrorList {
	if !hasTimes(v.Type()) {
		return nil
	}
	var errs field.ErrorList
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			errs = timesIn(v.Elem(), path)
		}
	case reflect.Struct:
		switch v.Type() {
		case typeOfTime:
			return validateTime(v.Interface().(metav1.Time).Time, path)
		case typeOfMicroTime:
			return validateTime(v.Interface().(metav1.MicroTime).Time, path)
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				errs = append(errs, timesIn(v.Field(i), child(path, f))...)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			errs = append(errs, timesIn(v.Index(i), path.Index(i))...)
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			errs = append(errs, timesIn(entries.Value(), path.Key(fmt.Sprint(entries.Key())))...)
		}
	}
	return errs
}

func validateTime(t time.Time, path *field.Path) field.ErrorList {
	if year := t.UTC().Year(); year >= 0 && year <= lastYear {
		return nil
	}
	return field.ErrorList{field.Invalid(path, t.String(), fmt.Sprintf("is not within the years 0 to %d in UTC, in which it is stored; it could not be read back", lastYear))}
}

// child is the path of a field by its name in JSON; embedded ones have none.
func child(path *field.Path, f reflect.StructField) *field.Path {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" && f.Anonymous {
		return path
	}
	return path.Child(cmp.Or(name, f.Name))
}

// withTimes remembers of types whether there are times in them, so that only those
// parts of an object are looked at.
var withTimes sync.Map // reflect.Type -> bool

func hasTimes(t reflect.Type) bool {
	if known, ok := withTimes.Load(t); ok {
		return known.(bool)
	}
	found := findTimes(t, map[reflect.Type]bool{})
	withTimes.Store(t, found)
	return found
}

func findTimes(t reflect.Type, under map[reflect.Type]bool) bool {
	if t == typeOfTime || t == typeOfMicroTime {
		return true
	}
	if under[t] {
		return false // of a type that has itself as a part, the rest decides
	}
	under[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return findTimes(t.Elem(), under)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && findTimes(f.Type, under) {
				return true
			}
		}
	}
	return false
}
