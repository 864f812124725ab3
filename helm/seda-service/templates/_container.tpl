{{/*
What the serving container and the migration job share: image and confinement; and the environment
of the first.
*/}}

{{- define "seda-service.container" -}}
image: {{ include "seda-service.image" . | quote }}
imagePullPolicy: {{ .Values.service.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources:
  {{- toYaml .Values.service.resources | nindent 2 }}
{{- end }}

{{- define "seda-service.environment" -}}
{{- $ports := .Values.service.ports -}}
- {name: VERSION, value: {{ .Values.service.image.tag | quote }}}
- {name: PORT, value: {{ $ports.http | quote }}}
- {name: METRICS_PORT, value: {{ $ports.metrics | quote }}}
{{- if $ports.socket }}
- {name: SOCKET_PORT, value: {{ $ports.socket | quote }}}
{{- end }}
{{- range $name, $value := .Values.service.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- range $name, $secret := .Values.service.secrets }}
- {name: {{ $name }}, valueFrom: {secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}}}
{{- end }}
{{- end }}

{{- define "seda-service.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.service.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
