{{- define "seda-service.serviceaccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Chart.Name }}
  labels:
    {{- include "seda-service.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end }}
