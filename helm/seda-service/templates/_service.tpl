{{- define "seda-service.service" -}}
{{- $ports := .Values.service.ports -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .Chart.Name }}
  labels:
    {{- include "seda-service.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  selector:
    {{- include "seda-service.selector" . | nindent 4 }}
    app.kubernetes.io/component: serve
  ports:
    - {name: http, port: 80, targetPort: http}
    - {name: metrics, port: {{ $ports.metrics }}, targetPort: metrics}
    {{- if $ports.socket }}
    - {name: socket, port: {{ $ports.socket }}, targetPort: socket}
    {{- end }}
{{- end }}
