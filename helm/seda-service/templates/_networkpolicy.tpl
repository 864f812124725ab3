{{/*
Everything is refused but the edges named in the values. infra/checks compares both ends of each.
*/}}

{{- define "seda-service.peer" -}}
- podSelector: {matchLabels: {app.kubernetes.io/part-of: seda, app.kubernetes.io/name: {{ . }}}}
{{- end }}

{{- define "seda-service.place" -}}
{{- if .cidr -}}
- ipBlock: {cidr: {{ .cidr }}}
{{- else -}}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace }}}}
{{- end }}
{{- end }}

{{- define "seda-service.networkpolicy" -}}
{{- $network := .Values.service.network -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Chart.Name }}
  labels:
    {{- include "seda-service.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "seda-service.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $network.monitoringNamespace }}}}}]
      ports: [{port: metrics}]
    {{- range $network.from }}
    - from:
        {{- include "seda-service.peer" . | nindent 8 }}
      ports: [{port: http}]
    {{- end }}
    {{- if $network.fromIngress }}
    - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $network.ingressNamespace }}}}}]
      ports: [{port: {{ if .Values.service.ports.socket }}socket{{ else }}http{{ end }}}]
    {{- end }}
  egress:
    {{- include "seda-service.egress" . | nindent 4 }}
{{- end }}
