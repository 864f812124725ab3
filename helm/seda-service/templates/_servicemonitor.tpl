{{- define "seda-service.servicemonitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ .Chart.Name }}
  labels:
    {{- include "seda-service.labels" . | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "seda-service.selector" . | nindent 6 }}
  endpoints:
    - {port: metrics, path: /api/v1/metrics, interval: {{ .Values.service.monitoring.scrapeSeconds }}s}
{{- end }}
