package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	workv1alpha1 "github.com/flotilla-io/flotilla/api/work/v1alpha1"
)

// writes are all writes in their order. Finished says that the last of them lets go
// of the Mesh.
func (r *round) writes() (writes []Write, finished bool, err error) {
	add := func(write *Write) {
		if write != nil {
			writes = append(writes, *write)
		}
	}
	if !r.deleting() {
		add(r.finalizer(controllerutil.AddFinalizer))
	}
	store, err := r.storeWrite()
	if err != nil {
		return nil, false, err
	}
	add(store)
	var after, last []Write
	for _, c := range r.clusters {
		withdrawals, cas, additions, removals, err := r.workWrites(c)
		if err != nil {
			return nil, false, err
		}
		for _, part := range [][]Write{withdrawals, cas, additions, removals} {
			for i := range part {
				part[i].Cluster = c.name
			}
		}
		writes = append(writes, withdrawals...)
		after = append(after, cas...)
		last = append(last, additions...)
		last = append(last, removals...)
	}
	writes = append(writes, after...)
	// What is there before what is new: a cluster that comes under the name of another
	// is known by having no MeshMember, until its peers renew their tokens.
	var members []Write
	for _, c := range r.clusters {
		if write := r.memberWrite(c); write != nil {
			write.Cluster = c.name
			if write.Verb == Create {
				write.Needs = r.worthless[c.name]
			}
			members = append(members, *write)
		}
	}
	slices.SortStableFunc(members, func(a, b Write) int { return order(b.Verb) - order(a.Verb) })
	writes = append(writes, members...)
	// Additions of all before removals of any.
	slices.SortStableFunc(last, func(a, b Write) int { return order(a.Verb) - order(b.Verb) })
	writes = append(writes, last...)
	remains := false
	for _, c := range r.clusters {
		for _, write := range r.rest(c) {
			write.Cluster, write.Needs = c.name, r.worthless[c.name]
			writes = append(writes, write)
		}
		remains = remains || c.phase == leaving && !c.left
	}
	if r.deleting() && !remains {
		if write := r.finalizer(controllerutil.RemoveFinalizer); write != nil {
			write.Last = true
			writes = append(writes, *write)
		}
		finished = true
	}
	return writes, finished, nil
}

// order of what is written of one kind: updates and what is new, then what goes.
func order(verb Verb) int {
	switch verb {
	case Create:
		return 0
	case Update:
		return 1
	default:
		return 2
	}
}

// finalizer is the write that adds or removes it, nil when that changes nothing.
func (r *round) finalizer(change func(client.Object, string) bool) *Write {
	was := r.picture.Mesh
	mesh := was.DeepCopy()
	if !change(mesh, meshv1alpha1.MeshFinalizer) {
		return nil
	}
	return &Write{Verb: Update, Object: mesh, Was: was}
}

// workWrites are the writes of a cluster's Works: remote secrets that go, its CA,
// what comes or changes, what goes.
func (r *round) workWrites(c *cluster) (withdrawals, ca, additions, removals []Write, err error) {
	if c.phase == gone || c.phase == claimed {
		return nil, nil, nil, nil, nil
	}
	wanted, err := r.wantedWorks(c)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	for _, part := range sortedParts(wanted) {
		work, there := wanted[part], c.works[part]
		write := Write{Verb: Create, Object: work}
		if there != nil {
			if sameWork(there, work) {
				continue
			}
			write = Write{Verb: Update, Object: updated(there, work), Was: there}
		}
		if peer := peerOf(part); peer != "" {
			write.Needs = []string{peer} // that the token is in use has to be stored first
		}
		if part == PartCA {
			ca = append(ca, write)
		} else {
			additions = append(additions, write)
		}
	}
	for _, part := range sortedParts(c.works) {
		switch {
		case wanted[part] != nil, part == PartCA:
		case peerOf(part) != "":
			withdrawals = append(withdrawals, Write{Verb: Delete, Object: c.works[part]})
		default:
			removals = append(removals, Write{Verb: Delete, Object: c.works[part]})
		}
	}
	return withdrawals, ca, additions, removals, nil
}

func sortedParts(works map[string]*workv1alpha1.Work) []string {
	var parts []string
	for part := range works {
		parts = append(parts, part)
	}
	slices.Sort(parts)
	return parts
}

// wantedWorks are all Works that a cluster is to have, those of today where nothing
// else is known.
func (r *round) wantedWorks(c *cluster) (map[string]*workv1alpha1.Work, error) {
	wanted := map[string]*workv1alpha1.Work{}
	set := func(part string, build func(*cluster) (*workv1alpha1.Work, error)) error {
		work, err := build(c)
		if work != nil && err == nil {
			wanted[part] = work
		}
		return err
	}
	if c.phase == leaving {
		if c.clean {
			return wanted, nil
		}
		// It is used until its peers have let go of it.
		for _, part := range []string{PartReader, PartGateway, PartFailover} {
			if c.works[part] != nil {
				wanted[part] = c.works[part]
			}
		}
		return wanted, set(PartCA, r.caWork)
	}
	for part, build := range map[string]func(*cluster) (*workv1alpha1.Work, error){
		PartCA: r.caWork, PartReader: r.readerWork, PartGateway: r.gatewayWork, PartFailover: r.failoverWork,
	} {
		if err := set(part, build); err != nil {
			return nil, err
		}
	}
	for i := range r.pairs {
		p := &r.pairs[i]
		if p.from != c || !p.result.Secret {
			continue
		}
		if work := r.peerWork(p); work != nil {
			wanted[PartPeer(p.to.name)] = work
		}
	}
	return wanted, nil
}

// rest are the last writes about a cluster that has left: the MeshMember is what is
// known of it, so it goes last. Of one that is in the federation no more the namespace
// goes with all that is in it; here only what that left behind.
func (r *round) rest(c *cluster) []Write {
	if c.phase == gone && c.object != nil || c.phase != gone && (c.phase != leaving || !c.left) {
		return nil
	}
	var writes []Write
	for _, part := range sortedParts(c.works) {
		if c.phase == gone || part == PartCA {
			writes = append(writes, Write{Verb: Delete, Object: c.works[part]})
		}
	}
	if c.member != nil || len(writes) > 0 {
		writes = append(writes, Write{Verb: Delete, Object: &corev1.Secret{ObjectMeta: metadata(r.mesh.Name, c.name, meshv1alpha1.ReaderSecretName(r.mesh.Name))}})
	}
	if c.member != nil {
		writes = append(writes, Write{Verb: Delete, Object: c.member})
	}
	return writes
}
