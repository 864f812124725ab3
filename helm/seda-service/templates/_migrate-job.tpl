{{/*
The schema is brought up before the new pods start, so every migration must also suit the release
that is still running. The job sees the owner's login, the pods never do. Before the first install
no ServiceAccount exists yet; the job needs none.
*/}}

{{- define "seda-service.migrate-job" -}}
{{- $migration := .Values.service.migration -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Chart.Name }}-migrate
  labels:
    {{- include "seda-service.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "0"
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  activeDeadlineSeconds: {{ $migration.deadlineSeconds }}
  backoffLimit: {{ $migration.retriesMax }}
  template:
    metadata:
      labels:
        {{- include "seda-service.labels" . | nindent 8 }}
        app.kubernetes.io/component: migrate
    spec:
      restartPolicy: Never
      {{- include "seda-service.pod" . | nindent 6 }}
      containers:
        - name: migrate
          args: [migrate]
          {{- include "seda-service.container" . | nindent 10 }}
          env:
            {{- range $name, $secret := $migration.secrets }}
            - {name: {{ $name }}, valueFrom: {secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}}}
            {{- end }}
{{- end }}
