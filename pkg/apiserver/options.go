package apiserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/component-base/logs"

	"github.com/flotilla-io/flotilla/pkg/apiserver/encryption"
	"github.com/flotilla-io/flotilla/pkg/apiserver/pki"
)

// Options configure one API server.
type Options struct {
	// DataDir holds certificates and, without EtcdServers, the embedded etcd.
	DataDir string
	// PKIDir holds what others trust: CAs, the key of service accounts, the one
	// of encryption. Empty for pki in DataDir. Another directory is only read;
	// certificates that are signed go to pki in DataDir all the same.
	PKIDir string
	// EncryptionConfig says how Secrets are encrypted in the datastore. Empty for
	// encryption.yaml in PKIDir. Another file is only read.
	EncryptionConfig string
	// BindAddress and SecurePort are where TLS is served. Port 0 is refused:
	// clients outside have to know it.
	BindAddress net.IP
	SecurePort  int
	// AdvertiseAddress is the address in the admin kubeconfig; by default
	// BindAddress, or the host's address when that is unspecified.
	AdvertiseAddress string
	// PublicURL is where clients reach this server when that is not the advertised
	// address and SecurePort, as behind a load balancer or a port of a node.
	PublicURL string
	// TLSSANs are further names and addresses of the serving certificate.
	TLSSANs []string
	// WriteKubeconfig is where the admin kubeconfig goes; empty for nowhere.
	WriteKubeconfig string

	// EtcdServers, EtcdCAFile, EtcdCertFile and EtcdKeyFile name an external
	// etcd. Without servers one is run in process.
	EtcdServers                           []string
	EtcdCAFile, EtcdCertFile, EtcdKeyFile string
	// EtcdPrefix is prepended to every key.
	EtcdPrefix string
	// EtcdQuotaBytes and EtcdSnapshotCount go to the embedded etcd.
	EtcdQuotaBytes    int64
	EtcdSnapshotCount uint64

	// ServiceClusterIPRange is where ClusterIPs of Service templates come from.
	// They never leave the federation; members allocate their own.
	ServiceClusterIPRange string
	// EventTTL is how long events are kept.
	EventTTL time.Duration
	// StatusWindow is how long a binding whose clusters are not all healthy must
	// be without news before its status is written; five times that is the most.
	StatusWindow time.Duration

	// AuditPolicyFile says what is written to AuditLogPath; empty for the policy in
	// package audit. Without a path nothing is written; "-" is standard output.
	AuditPolicyFile, AuditLogPath string
	// AuditLogMaxAge (days), AuditLogMaxBackups and AuditLogMaxSize (megabytes) are
	// when old files of the audit log are removed and a new one is begun.
	AuditLogMaxAge, AuditLogMaxBackups, AuditLogMaxSize int

	Logs *logs.Options
}

// NewOptions returns the defaults.
func NewOptions() *Options {
	return &Options{
		BindAddress:           net.IPv4zero,
		SecurePort:            5443,
		EtcdPrefix:            "/registry",
		EtcdQuotaBytes:        2 << 30,
		EtcdSnapshotCount:     10_000,
		ServiceClusterIPRange: "10.96.0.0/12",
		EventTTL:              time.Hour,
		StatusWindow:          2 * time.Second,
		AuditLogMaxAge:        366,
		AuditLogMaxBackups:    100,
		AuditLogMaxSize:       100,
		Logs:                  logs.NewOptions(),
	}
}

// AddFlags registers the options.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.DataDir, "data-dir", o.DataDir, "Directory for certificates and the embedded etcd. Required.")
	fs.StringVar(&o.PKIDir, "pki-dir", o.PKIDir, "Directory with the CAs, the keys of service accounts and of encryption. By default pki in --data-dir, where they are made at the first start. Another one, such as a mounted Secret, is only read.")
	fs.StringVar(&o.EncryptionConfig, "encryption-provider-config", o.EncryptionConfig, "File that says how Secrets are encrypted in etcd (EncryptionConfiguration of Kubernetes). It is read again when it changes. By default encryption.yaml in --pki-dir, made with a random key at the first start.")
	fs.IPVar(&o.BindAddress, "bind-address", o.BindAddress, "Address to serve TLS on.")
	fs.IntVar(&o.SecurePort, "secure-port", o.SecurePort, "Port to serve TLS on.")
	fs.StringVar(&o.AdvertiseAddress, "advertise-address", o.AdvertiseAddress, "Name or address clients reach this server at; goes into the certificate and the admin kubeconfig. By default the bind address, or the host's when that is 0.0.0.0.")
	fs.StringVar(&o.PublicURL, "public-url", o.PublicURL, "URL clients reach this server at, https://host:port, when that is not --advertise-address and --secure-port, as behind a load balancer. Its host goes into the certificate.")
	fs.StringSliceVar(&o.TLSSANs, "tls-san", o.TLSSANs, "Further names and addresses for the serving certificate.")
	fs.StringVar(&o.WriteKubeconfig, "write-kubeconfig", o.WriteKubeconfig, "File to write an admin kubeconfig to.")
	fs.StringSliceVar(&o.EtcdServers, "etcd-servers", o.EtcdServers, "URLs of an external etcd. Without it, etcd runs in this process with its data in --data-dir.")
	fs.StringVar(&o.EtcdCAFile, "etcd-cafile", o.EtcdCAFile, "CA of the external etcd.")
	fs.StringVar(&o.EtcdCertFile, "etcd-certfile", o.EtcdCertFile, "Client certificate for the external etcd.")
	fs.StringVar(&o.EtcdKeyFile, "etcd-keyfile", o.EtcdKeyFile, "Key of the client certificate for the external etcd.")
	fs.StringVar(&o.EtcdPrefix, "etcd-prefix", o.EtcdPrefix, "Prefix of every key in etcd.")
	fs.Int64Var(&o.EtcdQuotaBytes, "etcd-quota-backend-bytes", o.EtcdQuotaBytes, "Size in bytes at which the embedded etcd refuses writes.")
	fs.Uint64Var(&o.EtcdSnapshotCount, "etcd-snapshot-count", o.EtcdSnapshotCount, "Writes after which the embedded etcd compacts its log into a snapshot.")
	fs.StringVar(&o.ServiceClusterIPRange, "service-cluster-ip-range", o.ServiceClusterIPRange, "CIDR for the ClusterIPs of Service templates. Members allocate their own.")
	fs.DurationVar(&o.EventTTL, "event-ttl", o.EventTTL, "How long events are kept.")
	fs.DurationVar(&o.StatusWindow, "status-window", o.StatusWindow, "How long a binding whose clusters are not all healthy must be without news before its status is written; five times that at most. A healthy one is written at once.")
	fs.StringVar(&o.AuditPolicyFile, "audit-policy-file", o.AuditPolicyFile, "File that says which requests are written to the audit log (Policy of Kubernetes). By default a built-in one: who changed what, and who read Secrets.")
	fs.StringVar(&o.AuditLogPath, "audit-log-path", o.AuditLogPath, "File for the audit log; - is standard output. Empty: there is none.")
	fs.IntVar(&o.AuditLogMaxAge, "audit-log-maxage", o.AuditLogMaxAge, "Days after which old files of the audit log are removed; 0: never.")
	fs.IntVar(&o.AuditLogMaxBackups, "audit-log-maxbackup", o.AuditLogMaxBackups, "How many old files of the audit log are kept; 0: all.")
	fs.IntVar(&o.AuditLogMaxSize, "audit-log-maxsize", o.AuditLogMaxSize, "Megabytes after which a new file of the audit log is begun; 0: never.")
}

// Validate reports every option that cannot work.
func (o *Options) Validate() error {
	var errs []error
	if o.DataDir == "" {
		errs = append(errs, errors.New("--data-dir is required: certificates live there"))
	}
	if o.SecurePort < 1 || o.SecurePort > 65535 {
		errs = append(errs, fmt.Errorf("--secure-port %d: want 1 to 65535", o.SecurePort))
	}
	if _, _, err := net.ParseCIDR(o.ServiceClusterIPRange); err != nil {
		errs = append(errs, fmt.Errorf("--service-cluster-ip-range: %w", err))
	}
	if o.PublicURL != "" {
		if u, err := url.Parse(o.PublicURL); err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
			errs = append(errs, fmt.Errorf("--public-url %q: want https://host:port", o.PublicURL))
		}
	}
	if (o.EtcdCertFile == "") != (o.EtcdKeyFile == "") {
		errs = append(errs, errors.New("--etcd-certfile and --etcd-keyfile go together"))
	}
	if len(o.EtcdServers) == 0 && (o.EtcdCAFile != "" || o.EtcdCertFile != "") {
		errs = append(errs, errors.New("--etcd-cafile and --etcd-certfile are for an external etcd: name it with --etcd-servers"))
	}
	if o.StatusWindow <= 0 {
		errs = append(errs, fmt.Errorf("--status-window %s: want more than 0", o.StatusWindow))
	}
	if o.AuditPolicyFile != "" && o.AuditLogPath == "" {
		errs = append(errs, errors.New("--audit-policy-file has no effect without --audit-log-path"))
	}
	return errors.Join(errs...)
}

// leafDir is where the server's own certificates go.
func (o *Options) leafDir() string { return filepath.Join(o.DataDir, "pki") }

// pkiDir has what others trust, and made says whether it is the server's to make.
func (o *Options) pkiDir() (dir string, made bool) {
	if o.PKIDir == "" || filepath.Clean(o.PKIDir) == filepath.Clean(o.leafDir()) {
		return o.leafDir(), true
	}
	return o.PKIDir, false
}

// encryptionConfig says how to encrypt, and made whether it is the server's to make.
func (o *Options) encryptionConfig() (path string, made bool) {
	dir, made := o.pkiDir()
	path = filepath.Join(dir, encryption.FileName)
	if o.EncryptionConfig == "" || filepath.Clean(o.EncryptionConfig) == path {
		return path, made
	}
	return o.EncryptionConfig, false
}

func (o *Options) etcdDir() string { return filepath.Join(o.DataDir, "etcd") }

// ensureCertificates makes and renews what is the server's to make.
func (o *Options) ensureCertificates(now time.Time) (pki.Files, error) {
	hosts, err := o.hosts()
	if err != nil {
		return pki.Files{}, err
	}
	dir, made := o.pkiDir()
	var files pki.Files
	if made {
		files, err = pki.Ensure(dir, hosts, now)
	} else {
		files, err = pki.EnsureLeaves(dir, o.leafDir(), hosts, now)
	}
	if err != nil {
		return files, fmt.Errorf("certificates in %s: %w", dir, err)
	}
	return files, nil
}

// advertised is the host part of the server's URL.
func (o *Options) advertised() (string, error) {
	if o.AdvertiseAddress != "" {
		return o.AdvertiseAddress, nil
	}
	if !o.BindAddress.IsUnspecified() {
		return o.BindAddress.String(), nil
	}
	ip, err := hostAddress()
	if err != nil {
		return "", fmt.Errorf("find this host's address (name it with --advertise-address): %w", err)
	}
	return ip.String(), nil
}

// URL is where clients reach the server.
func (o *Options) URL() (string, error) {
	if o.PublicURL != "" {
		return strings.TrimSuffix(o.PublicURL, "/"), nil
	}
	host, err := o.advertised()
	if err != nil {
		return "", err
	}
	return "https://" + net.JoinHostPort(host, fmt.Sprint(o.SecurePort)), nil
}

// hosts are the names the serving certificate carries.
func (o *Options) hosts() ([]string, error) {
	host, err := o.advertised()
	if err != nil {
		return nil, err
	}
	hosts := []string{"localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	for _, h := range append([]string{host}, o.TLSSANs...) {
		hosts = appendMissing(hosts, h)
	}
	if u, err := url.Parse(o.PublicURL); err == nil && u.Hostname() != "" {
		hosts = appendMissing(hosts, u.Hostname())
	}
	if !o.BindAddress.IsUnspecified() {
		hosts = appendMissing(hosts, o.BindAddress.String())
	}
	return hosts, nil
}

func appendMissing(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}
