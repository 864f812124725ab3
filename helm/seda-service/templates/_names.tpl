{{/*
Names and labels. A service has the name of its chart, not of the release, because the others find
it by that name; two copies live in two namespaces.
*/}}

{{- define "seda-service.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "seda-service.labels" -}}
{{ include "seda-service.selector" . }}
app.kubernetes.io/version: {{ .Values.service.image.tag | quote }}
app.kubernetes.io/part-of: seda
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "seda-service.image" -}}
{{- with .Values.service.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}
{{- end }}
