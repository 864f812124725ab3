{{- define "seda-service.ingress" -}}
{{- $ingress := .Values.service.ingress -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .Chart.Name }}
  labels:
    {{- include "seda-service.labels" . | nindent 4 }}
  annotations:
    cert-manager.io/cluster-issuer: {{ $ingress.issuer }}
    nginx.ingress.kubernetes.io/ssl-redirect: "true"
    nginx.ingress.kubernetes.io/force-ssl-redirect: "true"
    # An outer fence per address; the limits that count are the gateway's own.
    nginx.ingress.kubernetes.io/limit-rps: {{ $ingress.ratePerSecond | quote }}
    nginx.ingress.kubernetes.io/proxy-body-size: 1m
    # A socket is silent between heartbeats; a minute of nginx's default would cut it.
    nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
    nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"
spec:
  ingressClassName: {{ $ingress.className }}
  tls:
    - {hosts: [{{ $ingress.host }}], secretName: {{ $ingress.tlsSecret }}}
  rules:
    - host: {{ $ingress.host }}
      http:
        paths:
          {{- range $ingress.paths }}
          - path: {{ .path }}
            pathType: {{ .pathType }}
            backend: {service: {name: {{ .service }}, port: {name: {{ .port }}}}}
          {{- end }}
{{- end }}
