package fedctl

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
)

const nothing = "<none>"

// meshStatus is what programs get.
type meshStatus struct {
	Name   string                  `json:"name"`
	Ready  bool                    `json:"ready"`
	Status meshv1alpha1.MeshStatus `json:"status"`
}

func (c *cli) printMeshes(f *cluster, meshes []meshv1alpha1.Mesh, output string) error {
	if output == "json" {
		out := struct {
			Meshes []meshStatus `json:"meshes"`
		}{Meshes: make([]meshStatus, len(meshes))}
		for i := range meshes {
			ready, _, _ := readiness(&meshes[i])
			out.Meshes[i] = meshStatus{Name: meshes[i].Name, Ready: ready, Status: meshes[i].Status}
		}
		return c.sayJSON(out)
	}
	if len(meshes) == 0 {
		c.say("There are no meshes.")
		return nil
	}
	for i := range meshes {
		if i > 0 {
			c.say("")
		}
		if err := c.printMesh(&meshes[i], f.clock.now()); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) printMesh(m *meshv1alpha1.Mesh, now time.Time) error {
	all := lacking(m)
	c.say("%s", headline(m, all))
	if trust := m.Status.Trust; trust != nil {
		until := ""
		if !trust.RootExpires.IsZero() {
			until = ", ends " + remaining(trust.RootExpires.Time, now)
		}
		c.say("Root: generation %d, %s%s%s", trust.RootGeneration, cmp.Or(trust.Stage, nothing), until, after(": ", trust.Message))
	}
	if len(m.Status.Clusters) > 0 {
		c.say("")
		if err := clusterTable(c.Out, m.Status.Clusters, now); err != nil {
			return err
		}
	}
	if len(m.Status.Links) > 0 {
		c.say("")
		if err := matrix(c.Out, &m.Status); err != nil {
			return err
		}
	}
	if len(all) > 0 {
		c.say("")
	}
	for _, g := range grouped(all) {
		for _, line := range g.lines() {
			c.say("%s", line)
		}
	}
	return nil
}

func clusterTable(out io.Writer, clusters []meshv1alpha1.MeshCluster, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "CLUSTER\tNETWORK\tGATEWAY\tISTIOD\tCA ENDS\tTOKEN ENDS\tNOT READY")
	for i := range clusters {
		cluster := &clusters[i]
		first := nothing
		if lacks := notTrue(cluster.Conditions); lacks != nil {
			first = lacks.Type + after(": ", lacks.Reason)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cluster.Name, cmp.Or(cluster.Network, nothing), gateways(cluster.GatewayAddresses),
			cmp.Or(cluster.IstiodVersion, nothing), ends(cluster.CAExpires, now), ends(cluster.TokenExpires, now), first)
	}
	return w.Flush()
}

// matrix has a row for each cluster that calls.
func matrix(out io.Writer, status *meshv1alpha1.MeshStatus) error {
	names, cells := sets.New[string](), map[[2]string]string{}
	for i := range status.Clusters {
		names.Insert(status.Clusters[i].Name)
	}
	for i := range status.Links {
		l := &status.Links[i]
		names.Insert(l.From, l.To)
		cells[[2]string{l.From, l.To}] = cellOf(l)
	}
	all := sets.List(names)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(w, "FROM \\ TO\t%s\n", strings.Join(all, "\t"))
	for _, from := range all {
		row := []string{from}
		for _, to := range all {
			row = append(row, cmp.Or(cells[[2]string{from, to}], "-"))
		}
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func gateways(addresses []meshv1alpha1.GatewayAddress) string {
	var all []string
	for _, a := range addresses {
		all = append(all, net.JoinHostPort(a.Address, strconv.Itoa(int(a.Port))))
	}
	return cmp.Or(strings.Join(slices.Sorted(slices.Values(all)), ","), nothing)
}

func ends(at *metav1.Time, now time.Time) string {
	if at.IsZero() {
		return nothing
	}
	return remaining(at.Time, now)
}

// after puts a text behind another, if there is one.
func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}
