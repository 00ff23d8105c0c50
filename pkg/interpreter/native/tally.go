package native

import (
	"math"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	workv1alpha2 "github.com/flotilla-io/flotilla/api/work/v1alpha2"
)

// A tally is a status that is for the most part numbers to add up: those of
// Deployments, StatefulSets and the like. It is at once what is reported and
// where the sums are kept.
type tally interface {
	// counters names the numbers and says where they are.
	counters() []counter
	observed() *observation
	conditions() *[]condition
	// bound corrects, after decoding, numbers that contradict each other, so
	// that no cluster can make the sum one that the API server refuses.
	bound()
}

type counter struct {
	field string
	value *int64
}

// observation tells which template a report is about.
type observation struct {
	// Generation is that of the object in the member.
	Generation int64 `json:"generation,omitempty"`
	// ResourceTemplateGeneration is that of the template it was made from.
	ResourceTemplateGeneration int64 `json:"resourceTemplateGeneration,omitempty"`
	// ObservedGeneration is the Generation that the member's controller acted
	// on last.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// covers tells whether the member's controller has acted on this generation of
// the template, or on a newer one than the caller knows.
func (o *observation) covers(template int64) bool {
	return o.ObservedGeneration >= o.Generation && o.ResourceTemplateGeneration >= template
}

// tallied is embedded by every tally.
type tallied struct {
	observation
	Conditions []condition `json:"conditions,omitempty"`
}

func (t *tallied) observed() *observation   { return &t.observation }
func (t *tallied) conditions() *[]condition { return &t.Conditions }
func (t *tallied) bound()                   {}

// atMost lowers values to a limit that they cannot exceed.
func atMost(limit int64, values ...*int64) {
	for _, v := range values {
		*v = min(*v, limit)
	}
}

// pointerTo lets generic code make a tally out of its struct type.
type pointerTo[S any] interface {
	*S
	tally
}

// read fills a tally from an object in a member.
func read[S any, P pointerTo[S]](obj *unstructured.Unstructured, rules []conditionRule) P {
	into := P(new(S))
	from := status(obj)
	for _, c := range into.counters() {
		*c.value = integer(from, c.field)
	}
	*into.observed() = observation{
		Generation:                 generation(obj),
		ResourceTemplateGeneration: templateGeneration(obj),
		ObservedGeneration:         integer(from, "observedGeneration"),
	}
	*into.conditions() = reportConditions(from, rules)
	return into
}

// reflectTally makes the ReflectStatus of a kind whose status is a tally.
func reflectTally[S any, P pointerTo[S]](rules []conditionRule) func(*unstructured.Unstructured) (*runtime.RawExtension, error) {
	return func(obj *unstructured.Unstructured) (*runtime.RawExtension, error) {
		return encode(read[S, P](obj, rules))
	}
}

// summary is what a tally adds up to over all clusters.
type summary[S any] struct {
	members []member[S]
	voices  []voice
	// fields of the template's status: the sums, and observedGeneration once
	// it is known.
	fields map[string]any
}

// sum adds up what the clusters report. Counts are limited to what an int32
// field can hold, one by one and in total.
func sum[S any, P pointerTo[S]](template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (summary[S], error) {
	members, err := decode[S](items)
	var total S
	sums := P(&total).counters()
	s := summary[S]{members: members, voices: make([]voice, len(members)), fields: make(map[string]any, len(sums)+2)}
	for i := range members {
		m := P(&members[i].status)
		m.bound()
		for k, c := range m.counters() {
			*sums[k].value += min(max(*c.value, 0), math.MaxInt32)
		}
		s.voices[i] = voice{cluster: members[i].cluster, conditions: *m.conditions()}
	}
	for _, c := range sums {
		s.fields[c.field] = min(*c.value, math.MaxInt32)
	}
	newest := generation(template)
	if everyone(members, func(status *S) bool { return P(status).observed().covers(newest) }) {
		s.fields["observedGeneration"] = newest
	}
	return s, err
}

// aggregateTally makes the AggregateStatus of a kind whose status is a tally
// and nothing else. Conditions get their transition time in the fields named
// by also as well.
func aggregateTally[S any, P pointerTo[S]](rules []conditionRule, also ...string) func(*unstructured.Unstructured, []workv1alpha2.AggregatedStatusItem) (bool, error) {
	return func(template *unstructured.Unstructured, items []workv1alpha2.AggregatedStatusItem) (bool, error) {
		s, err := sum[S, P](template, items)
		if len(rules) > 0 {
			s.fields["conditions"] = conditionList(mergeConditions(rules, s.voices), also...)
		}
		if len(s.members) == 0 && scaledToZero(template) {
			s.fields["observedGeneration"] = generation(template)
		}
		return setStatus(template, s.fields), err
	}
}

// scaledToZero tells whether a template asks for no replicas. It is placed in
// no cluster then, so that nobody is left who could observe it.
func scaledToZero(template *unstructured.Unstructured) bool {
	n, ok := whole(spec(template)["replicas"])
	return ok && n == 0
}
