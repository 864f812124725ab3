{{- define "seda-service.deployment" -}}
{{- $service := .Values.service -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Chart.Name }}
  labels:
    {{- include "seda-service.labels" . | nindent 4 }}
spec:
  {{- if not $service.autoscaling.enabled }}
  replicas: {{ $service.replicas }}
  {{- end }}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector:
    matchLabels:
      {{- include "seda-service.selector" . | nindent 6 }}
      app.kubernetes.io/component: serve
  template:
    metadata:
      labels:
        {{- include "seda-service.labels" . | nindent 8 }}
        app.kubernetes.io/component: serve
    spec:
      serviceAccountName: {{ .Chart.Name }}
      terminationGracePeriodSeconds: {{ $service.gracePeriodSeconds }}
      {{- include "seda-service.pod" . | nindent 6 }}
      volumes:
        - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
        {{- range $name, $file := $service.files }}
        - {name: {{ $name }}, secret: {secretName: {{ $file.secret }}, defaultMode: 0440}}
        {{- end }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "seda-service.selector" $ | nindent 14 }}
              app.kubernetes.io/component: serve
        {{- end }}
      containers:
        - name: serve
          args: [serve]
          {{- include "seda-service.container" . | nindent 10 }}
          env:
            {{- include "seda-service.environment" . | nindent 12 }}
            # preStop takes five seconds of the grace period, five more stay as margin before SIGKILL.
            - {name: SHUTDOWN_GRACE_SECONDS, value: {{ sub $service.gracePeriodSeconds 10 | quote }}}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- range $name, $file := $service.files }}
            - {name: {{ $name }}, mountPath: {{ $file.path }}, readOnly: true}
            {{- end }}
          {{- include "seda-service.listeners" . | nindent 10 }}
{{- end }}
