{{- define "fairlead.fullname" -}}
{{- $name := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name)) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that never change: (dict "root" $ "component" "edge") */}}
{{- define "fairlead.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "fairlead.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The enabled services by name, their own values over the defaults, as a map in YAML. */}}
{{- define "fairlead.services" -}}
{{- $found := dict -}}
{{- range $name, $own := .Values.services -}}
{{- $service := mergeOverwrite (deepCopy $.Values.defaults) (deepCopy ($own | default dict)) -}}
{{- if and $service.autoscaling.enabled $service.keda.enabled -}}
{{- fail (printf "services.%s: autoscaling and keda are both enabled; they would fight over the number of replicas: enable one" $name) -}}
{{- end -}}
{{- if and $service.keda.enabled (not $service.consumers) -}}
{{- fail (printf "services.%s: keda is enabled, but the service has no consumers whose lag it could measure; use autoscaling" $name) -}}
{{- end -}}
{{- if $service.enabled -}}{{- $_ := set $found $name $service -}}{{- end -}}
{{- end -}}
{{ toYaml $found }}
{{- end -}}

{{- define "fairlead.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "fairlead.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where the bus and the database are: (dict "root" $ "user" "edge") */}}
{{- define "fairlead.connections" -}}
- name: FAIRLEAD_NATS_URL
  valueFrom: {secretKeyRef: {name: {{ .root.Values.nats.secret }}, key: {{ .user }}}}
- name: FAIRLEAD_POSTGRES_DSN
  valueFrom: {secretKeyRef: {name: {{ .root.Values.postgres.secret }}, key: {{ .root.Values.postgres.key }}}}
- name: FAIRLEAD_LOG_LEVEL
  value: {{ .root.Values.telemetry.logLevel }}
{{- end -}}

