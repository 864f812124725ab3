{{/*
The ways out of a pod. The open internet never includes private, link-local or shared ranges: a
second fence behind the guarded fetcher.
*/}}

{{- define "seda-service.egress" -}}
{{- $network := .Values.service.network -}}
- to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
- to:
    {{- include "seda-service.place" $network.postgres | nindent 4 }}
  ports: [{port: {{ $network.postgres.port }}}]
- to:
    {{- include "seda-service.place" $network.nats | nindent 4 }}
  ports: [{port: {{ $network.nats.port }}}]
{{- if .Values.service.env.OTEL_EXPORTER_OTLP_ENDPOINT }}
- to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ $network.monitoringNamespace }}}}}]
  ports: [{port: 4318}]
{{- end }}
{{- range $network.to }}
- to:
    {{- include "seda-service.peer" . | nindent 4 }}
  ports: [{port: http}]
{{- end }}
{{- if $network.internet }}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3]
    - ipBlock:
        cidr: "2000::/3"
        except: ["2001::/23", "2001:db8::/32", "2002::/16"]
  ports: [{port: 80}, {port: 443}]
{{- end }}
{{- end }}
