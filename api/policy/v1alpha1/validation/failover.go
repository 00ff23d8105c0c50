package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

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
	var errs field.ErrorList
	rules := path.Child("rules")
	if state.Rules == nil {
		errs = append(errs, field.Required(rules, "say which values to preserve, or leave statePreservation out"))
	}
	for i, rule := range state.Rules {
		p := rules.Index(i)
		errs = append(errs, labelKey(rule.AliasLabelName, p.Child("aliasLabelName"))...)
		if rule.JSONPath == "" {
			errs = append(errs, field.Required(p.Child("jsonPath"), "write where in the status the value is, such as {.jobStatus.state}"))
		}
	}
	return errs
}
