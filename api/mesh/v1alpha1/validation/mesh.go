package validation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	meshv1alpha1 "github.com/flotilla-io/flotilla/api/mesh/v1alpha1"
	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
	policyvalidation "github.com/flotilla-io/flotilla/api/policy/v1alpha1/validation"
)

const (
	// minTokenTTL is the least that Kubernetes takes for a token.
	minTokenTTL = 10 * time.Minute
	// minWithdrawAfter leaves an agent time for a lost connection.
	minWithdrawAfter = 30 * time.Second
	// maxTokenTTL is how long somebody who has got hold of a token can use it at most.
	maxTokenTTL = 30 * 24 * time.Hour
	// maxWithdrawAfter is how long at most traffic goes to a cluster that is lost.
	maxWithdrawAfter = 24 * time.Hour
)

// ValidateMesh checks a new Mesh.
func ValidateMesh(mesh *meshv1alpha1.Mesh) field.ErrorList {
	// The name is the value of a label, and part of names of Secrets.
	errs := apivalidation.ValidateObjectMeta(&mesh.ObjectMeta, false, apivalidation.NameIsDNSLabel, field.NewPath("metadata"))
	path := field.NewPath("spec")
	errs = append(errs, validateSpec(&mesh.Spec, path)...)
	return append(errs, validateOneAddress(&mesh.Spec.Gateway, nil, path.Child("gateway", "addresses"))...)
}

// ValidateMeshUpdate checks a changed Mesh.
func ValidateMeshUpdate(mesh, old *meshv1alpha1.Mesh) field.ErrorList {
	if apiequality.Semantic.DeepEqual(mesh.Spec, old.Spec) {
		return nil // what was stored under older rules can be labelled and deleted
	}
	path := field.NewPath("spec")
	errs := validateSpec(&mesh.Spec, path)
	trust, oldTrust := &mesh.Spec.Trust, &old.Spec.Trust
	if trust.TrustDomain != oldTrust.TrustDomain {
		errs = append(errs, field.Invalid(path.Child("trust", "trustDomain"), trust.TrustDomain,
			fmt.Sprintf("was %s and cannot change, because workloads of both would not know each other; make another Mesh", oldTrust.TrustDomain)))
	}
	errs = append(errs, validateRootGeneration(mesh, old, path.Child("trust", "rootGeneration"))...)
	errs = append(errs, validateOneAddress(&mesh.Spec.Gateway, &old.Spec.Gateway, path.Child("gateway", "addresses"))...)
	return append(errs, validateGatewayUpdate(mesh, old, path.Child("gateway"))...)
}

// ValidateMeshStatusUpdate checks a changed status.
func ValidateMeshStatusUpdate(mesh, _ *meshv1alpha1.Mesh) field.ErrorList {
	status, path := &mesh.Status, field.NewPath("status")
	errs := metav1validation.ValidateConditions(status.Conditions, path.Child("conditions"))
	for i := range status.Clusters {
		cluster, p := &status.Clusters[i], path.Child("clusters").Index(i)
		errs = append(errs, validateClusterName(cluster.Name, p.Child("name"))...)
		errs = append(errs, metav1validation.ValidateConditions(cluster.Conditions, p.Child("conditions"))...)
	}
	for i := range status.Links {
		link, p := &status.Links[i], path.Child("links").Index(i)
		errs = append(errs, validateClusterName(link.From, p.Child("from"))...)
		errs = append(errs, validateClusterName(link.To, p.Child("to"))...)
	}
	return errs
}

func validateSpec(spec *meshv1alpha1.MeshSpec, path *field.Path) field.ErrorList {
	errs := validateAffinity(spec.ClusterAffinity, path.Child("clusterAffinity"))
	if spec.Topology != meshv1alpha1.MultiPrimary {
		errs = append(errs, field.NotSupported(path.Child("topology"), spec.Topology, []meshv1alpha1.MeshTopology{meshv1alpha1.MultiPrimary}))
	}
	errs = append(errs, validateNetworks(spec.Networks, path.Child("networks"))...)
	errs = append(errs, validateTrust(&spec.Trust, path.Child("trust"))...)
	errs = append(errs, validateGateway(&spec.Gateway, path.Child("gateway"))...)
	errs = append(errs, validateRemoteAccess(&spec.RemoteAccess, path.Child("remoteAccess"))...)
	errs = append(errs, oneOf(spec.Links, path.Child("links"), meshv1alpha1.LinksAll, meshv1alpha1.LinksPlacement)...)
	errs = append(errs, atLeast(spec.WithdrawAfter, minWithdrawAfter, "a connection that breaks once would withdraw the cluster", path.Child("withdrawAfter"))...)
	errs = append(errs, atMost(spec.WithdrawAfter, maxWithdrawAfter, "all that time requests would go to a cluster that is lost", path.Child("withdrawAfter"))...)
	return append(errs, validateFailover(spec.Failover, path.Child("failover"))...)
}

// validateAffinity wants a Mesh to say whom it is for: each cluster in it may read
// all others.
func validateAffinity(affinity *policyv1alpha1.ClusterAffinity, path *field.Path) field.ErrorList {
	errs := policyvalidation.ValidateClusterAffinity(affinity, path)
	says := affinity != nil && (len(affinity.ClusterNames) > 0 ||
		affinity.LabelSelector != nil && len(affinity.LabelSelector.MatchLabels)+len(affinity.LabelSelector.MatchExpressions) > 0 ||
		affinity.FieldSelector != nil && len(affinity.FieldSelector.MatchExpressions) > 0)
	if !says {
		errs = append(errs, field.Required(path,
			"write which clusters form the mesh, best by clusterNames: without clusterNames, labelSelector or fieldSelector every cluster that ever joins the federation would get the right to read all others"))
	}
	return errs
}

func validateNetworks(networks []meshv1alpha1.MeshNetwork, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names, clusters := sets.New[string](), map[string]string{}
	for i := range networks {
		network, p := &networks[i], path.Index(i)
		switch {
		case network.Name == "":
			errs = append(errs, field.Required(p.Child("name"), "name the network"))
		case names.Has(network.Name):
			errs = append(errs, field.Duplicate(p.Child("name"), network.Name))
		}
		names.Insert(network.Name)
		for _, msg := range validation.IsValidLabelValue(network.Name) {
			errs = append(errs, field.Invalid(p.Child("name"), network.Name, msg))
		}
		if len(network.ClusterNames) == 0 {
			errs = append(errs, field.Required(p.Child("clusterNames"), "write the clusters of the network, or remove it"))
		}
		for j, cluster := range network.ClusterNames {
			cp := p.Child("clusterNames").Index(j)
			errs = append(errs, validateClusterName(cluster, cp)...)
			if other, ok := clusters[cluster]; ok {
				errs = append(errs, field.Invalid(cp, cluster, fmt.Sprintf("is in network %s already; a cluster has one network", other)))
			}
			clusters[cluster] = network.Name
		}
	}
	for i := range networks {
		// A cluster that is listed nowhere would get into a network by its name.
		cluster, ok := strings.CutPrefix(networks[i].Name, meshv1alpha1.DefaultNetwork(""))
		if ok && cluster != "" && !slices.Contains(networks[i].ClusterNames, cluster) {
			errs = append(errs, field.Invalid(path.Index(i).Child("name"), networks[i].Name,
				fmt.Sprintf("is what the network of cluster %s is called unless it is in another; choose another name", cluster)))
		}
	}
	return errs
}

func validateRemoteAccess(access *meshv1alpha1.MeshRemoteAccess, path *field.Path) field.ErrorList {
	errs := atLeast(access.TokenTTL, minTokenTTL, "Kubernetes makes no shorter tokens", path.Child("tokenTTL"))
	errs = append(errs, atMost(access.TokenTTL, maxTokenTTL, "whoever gets hold of a token has it that long", path.Child("tokenTTL"))...)
	errs = append(errs, oneOf(access.Secrets, path.Child("secrets"), meshv1alpha1.SecretsRead, meshv1alpha1.SecretsNone)...)
	seen := sets.New[string]()
	for i := range access.Servers {
		server, p := &access.Servers[i], path.Child("servers").Index(i)
		errs = append(errs, validateClusterName(server.ClusterName, p.Child("clusterName"))...)
		if seen.Has(server.ClusterName) {
			errs = append(errs, field.Duplicate(p.Child("clusterName"), server.ClusterName))
		}
		seen.Insert(server.ClusterName)
		errs = append(errs, validateURL(server.URL, p.Child("url"))...)
	}
	return errs
}

func validateFailover(failover *meshv1alpha1.MeshFailover, path *field.Path) field.ErrorList {
	if failover == nil {
		return nil
	}
	var errs field.ErrorList
	if len(failover.Regions) == 0 {
		errs = append(errs, field.Required(path.Child("regions"), "write where traffic goes, or remove failover"))
	}
	seen := sets.New[string]()
	for i := range failover.Regions {
		region, p := &failover.Regions[i], path.Child("regions").Index(i)
		switch {
		case region.From == "":
			errs = append(errs, field.Required(p.Child("from"), "write the region of the caller"))
		case seen.Has(region.From):
			errs = append(errs, field.Duplicate(p.Child("from"), region.From))
		}
		seen.Insert(region.From)
		errs = append(errs, validateFailoverTo(region, p.Child("to"))...)
	}
	return errs
}

// maxFailoverTo is how many regions Istio prefers besides the caller's own.
const maxFailoverTo = 1

func validateFailoverTo(region *meshv1alpha1.RegionFailover, path *field.Path) field.ErrorList {
	switch {
	case len(region.To) == 0:
		return field.ErrorList{field.Required(path, "write a region, or remove the item")}
	case len(region.To) > maxFailoverTo:
		return field.ErrorList{field.Invalid(path, region.To,
			"must be one region: Istio prefers one besides the caller's own, and after that all others are alike; write the one to prefer")}
	}
	var errs field.ErrorList
	for i, to := range region.To {
		switch to {
		case "":
			errs = append(errs, field.Required(path.Index(i), "write a region, or remove the item"))
		case region.From:
			errs = append(errs, field.Invalid(path.Index(i), to, "is the caller's own region, which always comes first; write another"))
		}
	}
	return errs
}
