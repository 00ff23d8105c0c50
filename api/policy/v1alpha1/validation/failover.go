package validation

import (
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/util/jsonpath"

	policyv1alpha1 "github.com/flotilla-io/flotilla/api/policy/v1alpha1"
)

// ValidateFailover checks a failover behaviour, of a policy or of a binding.
func ValidateFailover(failover *policyv1alpha1.FailoverBehavior, path *field.Path) field.ErrorList {
	if failover == nil {
		return nil
	}
	errs := validateApplicationFailover(failover.Application, path.Child("application"))
	if cluster := failover.Cluster; cluster != nil {
		p := path.Child("cluster")
		errs = append(errs, oneOf(cluster.PurgeMode, p.Child("purgeMode"),
			policyv1alpha1.PurgeModeDirectly, policyv1alpha1.PurgeModeGracefully)...)
		errs = append(errs, validateStatePreservation(cluster.StatePreservation, p.Child("statePreservation"))...)
	}
	return errs
}

func validateApplicationFailover(app *policyv1alpha1.ApplicationFailoverBehavior, path *field.Path) field.ErrorList {
	if app == nil {
		return nil
	}
	errs := ValidatePurgeMode(app.PurgeMode, path.Child("purgeMode"))
	if s := app.DecisionConditions.TolerationSeconds; s != nil {
		errs = append(errs, notNegative(int64(*s), path.Child("decisionConditions", "tolerationSeconds"))...)
	}
	if s := app.GracePeriodSeconds; s != nil {
		grace := path.Child("gracePeriodSeconds")
		if app.PurgeMode != policyv1alpha1.PurgeModeGracefully {
			errs = append(errs, field.Forbidden(grace, "there is a grace period only with purgeMode Gracefully; set that or remove it"))
		}
		if *s <= 0 {
			errs = append(errs, field.Invalid(grace, *s, "must be greater than 0; use purgeMode Directly to wait for nothing"))
		}
	}
	return append(errs, validateStatePreservation(app.StatePreservation, path.Child("statePreservation"))...)
}

// ValidatePurgeMode checks the enumeration.
func ValidatePurgeMode(mode policyv1alpha1.PurgeMode, path *field.Path) field.ErrorList {
	return oneOf(mode, path,
		policyv1alpha1.PurgeModeDirectly, policyv1alpha1.PurgeModeGracefully, policyv1alpha1.PurgeModeNever)
}

func validateStatePreservation(state *policyv1alpha1.StatePreservation, path *field.Path) field.ErrorList {
	if state == nil {
		return nil
	}
	rules := path.Child("rules")
	if len(state.Rules) == 0 {
		return field.ErrorList{field.Required(rules, "say which values to preserve, or leave statePreservation out")}
	}
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, rule := range state.Rules {
		p := rules.Index(i)
		errs = append(errs, labelKey(rule.AliasLabelName, p.Child("aliasLabelName"))...)
		if seen.Has(rule.AliasLabelName) {
			errs = append(errs, field.Duplicate(p.Child("aliasLabelName"), rule.AliasLabelName))
		}
		seen.Insert(rule.AliasLabelName)
		errs = append(errs, validateJSONPath(rule.JSONPath, p.Child("jsonPath"))...)
	}
	return errs
}

func validateJSONPath(text string, path *field.Path) field.ErrorList {
	if text == "" {
		return field.ErrorList{field.Required(path, "write where in the status the value is, such as {.jobStatus.state}")}
	}
	if _, err := jsonpath.Parse("jsonPath", text); err != nil {
		return field.ErrorList{field.Invalid(path, text, "cannot be read as a JSONPath template such as {.jobStatus.state}: "+err.Error())}
	}
	return nil
}
