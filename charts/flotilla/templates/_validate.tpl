{{/* What the schema cannot say, or not so that one knows what to do. */}}

{{- define "flotilla.validate" -}}
{{- if eq .Values.installMode "host" }}{{ include "flotilla.validate.host" . }}{{ else }}{{ include "flotilla.validate.agent" . }}{{ end -}}
{{- end }}

{{- define "flotilla.validate.host" -}}
{{- $v := .Values -}}
{{- $external := eq $v.etcd.mode "external" -}}
{{- if and (not $external) (gt (int $v.apiServer.replicas) 1) -}}
{{- fail (printf "apiServer.replicas is %d, but the embedded etcd is in one process: set etcd.mode=external and etcd.external.servers, or apiServer.replicas=1" (int $v.apiServer.replicas)) -}}
{{- end -}}
{{- if and $external (not $v.etcd.external.servers) -}}
{{- fail "etcd.mode is external, but etcd.external.servers is empty: name the URLs of your etcd, or set etcd.mode=embedded" -}}
{{- end -}}
{{- if and (not $external) $v.etcd.external.servers -}}
{{- fail "etcd.external.servers is set, but etcd.mode is embedded: set etcd.mode=external to use them" -}}
{{- end -}}
{{- range $v.etcd.external.servers -}}
{{- if and (hasPrefix "https://" .) (not $v.etcd.external.tlsSecret) -}}
{{- fail (printf "etcd.external.servers has %s, but etcd.external.tlsSecret is empty: name a Secret with ca.crt, tls.crt and tls.key" .) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.apiServer.serviceType "ClusterIP") (gt (int $v.apiServer.nodePort) 0) -}}
{{- fail (printf "apiServer.nodePort is %d, but a Service of type ClusterIP has none: set apiServer.serviceType=NodePort" (int $v.apiServer.nodePort)) -}}
{{- end -}}
{{- end }}

{{- define "flotilla.validate.agent" -}}
{{- $a := .Values.agent -}}
{{- if not $a.clusterName -}}
{{- fail "agent.clusterName is empty: give the member the name that it has, or is to have, in the federation" -}}
{{- end -}}
{{- $old := list -}}
{{- $missing := list -}}
{{- range list "caCrt" "crt" "key" "server" -}}
{{- if index $a.kubeconfig . }}{{ $old = append $old . }}{{ else }}{{ $missing = append $missing (printf "agent.kubeconfig.%s" .) }}{{ end -}}
{{- end -}}
{{- $token := or $a.bootstrapToken $a.bootstrapTokenSecret -}}
{{- if $old -}}
{{- if $missing -}}
{{- fail (printf "%s missing: agent.kubeconfig needs all of caCrt, crt, key and server" (join ", " $missing)) -}}
{{- end -}}
{{- if or $a.server $a.caHash $token -}}
{{- fail "agent.kubeconfig and agent.server, agent.caHash or a bootstrap token are set: use one way to join, agent.kubeconfig or the token" -}}
{{- end -}}
{{- else -}}
{{- if or (not $a.server) (not $a.caHash) -}}
{{- fail "agent.server and agent.caHash are needed: \"fedctl token create --cluster NAME\" prints the whole command" -}}
{{- end -}}
{{- if and .Release.IsInstall (not $token) -}}
{{- fail "agent.bootstrapToken is needed to join: \"fedctl token create --cluster NAME\" makes one; or name a Secret with agent.bootstrapTokenSecret" -}}
{{- end -}}
{{- if and $a.bootstrapToken $a.bootstrapTokenSecret -}}
{{- fail "agent.bootstrapToken and agent.bootstrapTokenSecret are both set: use one" -}}
{{- end -}}
{{- end -}}
{{- end }}
