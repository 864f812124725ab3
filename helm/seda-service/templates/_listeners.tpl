{{/*
What the serving container listens on, and how the cluster asks whether it is well.
*/}}

{{- define "seda-service.listeners" -}}
{{- $ports := .Values.service.ports -}}
ports:
  - {name: http, containerPort: {{ $ports.http }}}
  - {name: metrics, containerPort: {{ $ports.metrics }}}
  {{- if $ports.socket }}
  - {name: socket, containerPort: {{ $ports.socket }}}
  {{- end }}
# Liveness asks nothing of the database: its outage must not restart every pod.
startupProbe: {httpGet: {path: /livez, port: http}, periodSeconds: 2, failureThreshold: 30}
livenessProbe: {httpGet: {path: /livez, port: http}, periodSeconds: 10, timeoutSeconds: 3}
readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 5, timeoutSeconds: 3}
# Endpoints forget this pod before it stops accepting.
lifecycle: {preStop: {sleep: {seconds: 5}}}
{{- end }}
