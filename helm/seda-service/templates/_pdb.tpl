{{- define "seda-service.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .Chart.Name }}
  labels:
    {{- include "seda-service.labels" . | nindent 4 }}
spec:
  minAvailable: {{ .Values.service.disruption.availableMin }}
  # A pod that is already failing must not block the drain of its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "seda-service.selector" . | nindent 6 }}
      app.kubernetes.io/component: serve
{{- end }}
