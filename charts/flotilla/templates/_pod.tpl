{{/* What all pods have in common. */}}

{{- define "flotilla.image" -}}
{{- /* takes (dict "root" . "component" c "values" v) */ -}}
{{- $all := .root.Values.image -}}
{{- $own := .values.image | default dict -}}
{{- $registry := $own.registry | default $all.registry -}}
{{- $repository := $own.repository | default (printf "%s/%s" $all.repository .component) -}}
{{- $tag := $own.tag | default $all.tag | default (printf "v%s" .root.Chart.AppVersion) -}}
{{- if and (eq $tag "latest") (not $own.digest) -}}
{{- fail (printf "the tag of the image of %s is latest, which is another image each time: name a version in image.tag" .component) -}}
{{- end -}}
image: {{ with $registry }}{{ . }}/{{ end }}{{ $repository }}{{ with $own.digest }}@{{ . }}{{ else }}:{{ $tag }}{{ end }}
imagePullPolicy: {{ $own.pullPolicy | default $all.pullPolicy }}
{{- end }}

{{- define "flotilla.podMetadata" -}}
{{- /* takes (dict "root" . "component" c "values" v, and perhaps "annotations") */ -}}
labels:
  {{- include "flotilla.selectorLabels" (list .root .component) | nindent 2 }}
  {{- with mustMergeOverwrite (dict) .root.Values.commonLabels .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mustMergeOverwrite (dict) (.annotations | default dict) .values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "flotilla.pod" -}}
{{- /* the part of a pod's spec that is the same everywhere; takes (dict "root" . "component" c "values" v) */ -}}
{{- $root := .root -}}
{{- $values := .values -}}
securityContext:
  {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $several := gt (int ($values.replicas | default 1)) 1 }}
{{- if $values.affinity }}
affinity:
  {{- toYaml $values.affinity | nindent 2 }}
{{- else if and $several (ne $values.podAntiAffinity "none") }}
affinity:
  podAntiAffinity:
    {{- if eq $values.podAntiAffinity "hard" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "flotilla.selectorLabels" (list $root .component) | nindent 12 }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "flotilla.selectorLabels" (list $root .component) | nindent 14 }}
    {{- end }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else if $several }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "flotilla.selectorLabels" (list $root $.component) | nindent 8 }}
    matchLabelKeys:
      - pod-template-hash
  {{- end }}
{{- end }}
{{- end }}

{{- define "flotilla.container" -}}
{{- /* the part of a container that is the same everywhere; takes (dict "root" . "component" c "values" v) */ -}}
{{ include "flotilla.image" . }}
securityContext:
  {{- toYaml .root.Values.containerSecurityContext | nindent 2 }}
{{- with .values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "flotilla.strategy" -}}
{{- /* with several replicas one goes at a time, so that a node with one place for each is enough */ -}}
type: RollingUpdate
rollingUpdate:
  {{- if gt (int .replicas) 1 }}
  maxSurge: 0
  maxUnavailable: 1
  {{- else if .hostNetwork }}
  maxSurge: 0
  maxUnavailable: 1
  {{- else }}
  maxSurge: 1
  maxUnavailable: 0
  {{- end }}
{{- end }}
