package apiserver

import (
	"fmt"
	"net"
	"path/filepath"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	mutatingadmissionpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	validatingadmissionpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	mutatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	validatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	controlplaneoptions "k8s.io/kubernetes/pkg/controlplane/apiserver/options"
	kubeoptions "k8s.io/kubernetes/pkg/kubeapiserver/options"
	certapproval "k8s.io/kubernetes/plugin/pkg/admission/certificates/approval"
	"k8s.io/kubernetes/plugin/pkg/admission/certificates/ctbattest"
	certsigning "k8s.io/kubernetes/plugin/pkg/admission/certificates/signing"
	certsubjectrestriction "k8s.io/kubernetes/plugin/pkg/admission/certificates/subjectrestriction"

	"github.com/flotilla-io/flotilla/pkg/apiserver/admission/clusterrestriction"
	"github.com/flotilla-io/flotilla/pkg/apiserver/admission/propagation"
	"github.com/flotilla-io/flotilla/pkg/apiserver/audit"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// A stop ends watches at once, so that agents reconnect elsewhere, and then
// leaves other requests a moment.
const (
	watchShutdown = 2 * time.Second
	shutdown      = 5 * time.Second
)

// serviceAccountIssuer is in every token; it is a name, nobody resolves it.
const serviceAccountIssuer = "https://kubernetes.default.svc"

func hostAddress() (net.IP, error) { return utilnet.ResolveBindAddress(nil) }

// kubeOptions turns our options into those of Kubernetes' own control plane.
func (o *Options) kubeOptions(files pki.Files, etcdServers []string) (*controlplaneoptions.Options, error) {
	s := controlplaneoptions.NewOptions()
	host, err := o.advertised()
	if err != nil {
		return nil, err
	}
	s.Logs = o.Logs
	s.SecureServing.BindAddress = o.BindAddress
	s.SecureServing.BindPort = o.SecurePort
	s.SecureServing.ServerCert.CertKey.CertFile = files.ServingCert()
	s.SecureServing.ServerCert.CertKey.KeyFile = files.ServingKey()
	s.GenericServerRunOptions.ExternalHost = host
	if ip := net.ParseIP(host); ip != nil {
		s.GenericServerRunOptions.AdvertiseAddress = ip
	}
	s.Etcd.StorageConfig.Transport.ServerList = etcdServers
	s.Etcd.StorageConfig.Transport.TrustedCAFile = o.EtcdCAFile
	s.Etcd.StorageConfig.Transport.CertFile = o.EtcdCertFile
	s.Etcd.StorageConfig.Transport.KeyFile = o.EtcdKeyFile
	s.Etcd.StorageConfig.Prefix = o.EtcdPrefix
	s.Etcd.EncryptionProviderConfigFilepath, _ = o.encryptionConfig()
	s.Etcd.EncryptionProviderConfigAutomaticReload = true
	s.EventTTL = o.EventTTL
	s.GenericServerRunOptions.ShutdownWatchTerminationGracePeriod = watchShutdown

	s.Authentication.ClientCert.ClientCA = files.CA()
	s.Authentication.RequestHeader.ClientCAFile = files.FrontProxyCA()
	s.Authentication.RequestHeader.AllowedNames = []string{pki.FrontProxyName}
	s.Authentication.RequestHeader.UsernameHeaders = []string{"X-Remote-User"}
	s.Authentication.RequestHeader.UIDHeaders = []string{"X-Remote-Uid"}
	s.Authentication.RequestHeader.GroupHeaders = []string{"X-Remote-Group"}
	s.Authentication.RequestHeader.ExtraHeaderPrefixes = []string{"X-Remote-Extra-"}
	s.ProxyClientCertFile = files.FrontProxyCert()
	s.ProxyClientKeyFile = files.FrontProxyKey()
	s.Authentication.BootstrapToken.Enable = true
	s.Authentication.ServiceAccounts.Issuers = []string{serviceAccountIssuer}
	s.Authentication.ServiceAccounts.KeyFiles = []string{files.ServiceAccountPub()}
	s.Authentication.ServiceAccounts.OptionalTokenGetter = newTokenGetter
	s.ServiceAccountSigningKeyFile = files.ServiceAccount()
	if s.Audit.PolicyFile, err = o.auditPolicy(); err != nil {
		return nil, err
	}
	s.Audit.LogOptions.Path = o.AuditLogPath
	s.Audit.LogOptions.MaxAge = o.AuditLogMaxAge
	s.Audit.LogOptions.MaxBackups = o.AuditLogMaxBackups
	s.Audit.LogOptions.MaxSize = o.AuditLogMaxSize
	s.Authorization.Modes = []string{"RBAC"}

	plugins := s.Admission.GenericAdmission
	propagation.Register(plugins.Plugins)
	clusterrestriction.Register(plugins.Plugins)
	plugins.RecommendedPluginOrder = admissionOrder()
	plugins.DefaultOffPlugins = sets.New(kubeoptions.AllOrderedPlugins...).Difference(admissionPlugins())
	return s, nil
}

// auditPolicy is the file with the audit policy; the built-in one is put where people
// can read it.
func (o *Options) auditPolicy() (string, error) {
	if o.AuditPolicyFile != "" || o.AuditLogPath == "" {
		return o.AuditPolicyFile, nil
	}
	path := filepath.Join(o.DataDir, audit.FileName)
	if err := pki.WriteFile(path, audit.Policy, 0o644); err != nil {
		return "", fmt.Errorf("audit policy: %w", err)
	}
	return path, nil
}

// admissionPlugins are the plugins of Kubernetes that make sense for templates.
// Those that look at nodes, run pods' lives or hand out quota are left to the
// members, where the objects take effect.
func admissionPlugins() sets.Set[string] {
	return sets.New(
		lifecycle.PluginName,
		mutatingwebhook.PluginName,
		validatingwebhook.PluginName,
		mutatingadmissionpolicy.PluginName,
		validatingadmissionpolicy.PluginName,
		certapproval.PluginName,
		certsigning.PluginName,
		ctbattest.PluginName,
		certsubjectrestriction.PluginName,
	)
}

// admissionOrder puts the claim after everything that may still change a
// template's labels, webhooks included.
func admissionOrder() []string {
	order := make([]string, 0, len(kubeoptions.AllOrderedPlugins)+1)
	for _, name := range kubeoptions.AllOrderedPlugins {
		if name == validatingadmissionpolicy.PluginName {
			order = append(order, propagation.PluginName, clusterrestriction.PluginName)
		}
		order = append(order, name)
	}
	return order
}
