{{/* Names, labels and addresses. */}}

{{- define "flotilla.labels" -}}
{{- /* of objects; takes (list root component) */ -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: flotilla
{{ include "flotilla.selectorLabels" . }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "flotilla.selectorLabels" -}}
{{- /* what never changes while a release lives; takes (list root component) */ -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: flotilla
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "flotilla.metadata" -}}
{{- /* takes (dict "root" . "component" c, and perhaps "name", "annotations") */ -}}
{{- $root := .root -}}
name: {{ .name | default (printf "%s-%s" $root.Values.fullnameOverride .component) }}
namespace: {{ $root.Release.Namespace | quote }}
{{ include "flotilla.clusterMetadata" . }}
{{- end }}

{{- define "flotilla.clusterMetadata" -}}
{{- /* labels and annotations; takes what flotilla.metadata takes */ -}}
{{- $root := .root -}}
labels:
  {{- include "flotilla.labels" (list $root .component) | nindent 2 }}
{{- with mustMergeOverwrite (dict) $root.Values.commonAnnotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "flotilla.apiServer.host" -}}
{{ printf "%s-apiserver.%s.svc.%s" .Values.fullnameOverride .Release.Namespace .Values.clusterDomain }}
{{- end }}

{{- define "flotilla.apiServer.url" -}}
{{ printf "https://%s:%d" (include "flotilla.apiServer.host" .) (int .Values.apiServer.port) }}
{{- end }}

{{- define "flotilla.apiServer.names" -}}
{{- /* names and addresses in the serving certificate, a JSON list */ -}}
{{- $service := printf "%s-apiserver" .Values.fullnameOverride -}}
{{- $names := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) (include "flotilla.apiServer.host" .) -}}
{{- with .Values.apiServer.loadBalancerIP }}{{ $names = append $names . }}{{ end -}}
{{- range .Values.certs.auto.hosts }}{{ $names = append $names (tpl . $) }}{{ end -}}
{{- $names | uniq | toJson -}}
{{- end }}

{{- define "flotilla.pkiSecret" -}}
{{ .Values.certs.secretName | default (printf "%s-pki" .Values.fullnameOverride) }}
{{- end }}

{{- define "flotilla.kubeconfigSecret" -}}
{{ printf "%s-kubeconfig" .Values.fullnameOverride }}
{{- end }}
