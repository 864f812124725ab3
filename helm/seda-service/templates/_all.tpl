{{/*
The one include of a service chart. Kinds that a cluster may lack come behind a question.
*/}}

{{- define "seda-service.all" -}}
{{ include "seda-service.migrate-job" . }}
---
{{ include "seda-service.serviceaccount" . }}
---
{{ include "seda-service.networkpolicy" . }}
---
{{ include "seda-service.deployment" . }}
---
{{ include "seda-service.service" . }}
---
{{ include "seda-service.pdb" . }}
{{- if .Values.service.autoscaling.enabled }}
---
{{ include "seda-service.hpa" . }}
{{- end }}
{{- if .Values.service.ingress.enabled }}
---
{{ include "seda-service.ingress" . }}
{{- end }}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}
---
{{ include "seda-service.servicemonitor" . }}
{{- end }}
{{- end }}
