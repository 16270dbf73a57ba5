{{- define "innervate.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "innervate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "innervate.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "innervate.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "innervate.selector" -}}
app.kubernetes.io/name: {{ include "innervate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "innervate.labels" -}}
{{ include "innervate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "innervate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What a set has: its own, and what `worker` says where it says nothing. */}}
{{- define "innervate.set" -}}
{{- mergeOverwrite (deepCopy .root.Values.worker) .set | toYaml -}}
{{- end -}}

{{/* The set's consumer group, as `app.settings.Settings.agent_set` names it. */}}
{{- define "innervate.group" -}}
innervate-{{ join "-" (.agents | default list | uniq | sortAlpha) | default "all" }}
{{- end -}}

{{/* The groups whose lag says whether the set is large enough. */}}
{{- define "innervate.groups" -}}
{{- if ne (.router | default "inside") "alone" }}
- {{ include "innervate.group" . }}
{{- end }}
{{- if ne (.router | default "inside") "none" }}
- innervate-router
{{- end }}
{{- end -}}

{{/* Longer than a worker may take to stop (`app.worker.stopping`), which is longer than its longest decision. */}}
{{- define "innervate.grace" -}}
{{- $deadline := index .Values.settings "LLM_DEADLINE_SECONDS" | default 20 | float64 | ceil | int -}}
{{- add (max 30 (add $deadline 10)) 30 -}}
{{- end -}}

{{- define "innervate.env" -}}
{{- range $name, $value := .settings }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- range $name, $from := .secrets }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.name }}
      key: {{ $from.key }}
{{- end }}
{{- end -}}

{{- define "innervate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "innervate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "innervate.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- range .Values.files }}
- name: file-{{ .name }}
  mountPath: {{ .mountPath }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "innervate.volumes" -}}
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
{{- range .Values.files }}
- name: file-{{ .name }}
  {{- if .secret }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
  {{- else }}
  configMap:
    name: {{ .configMap }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A Job that runs one command before a release: `root`, `name`, `weight`, `command`, `agents`, `router`, `secrets`. */}}
{{- define "innervate.job" -}}
{{- $root := .root -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "innervate.fullname" $root }}-{{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "innervate.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: {{ .weight | quote }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ $root.Values.jobs.deadlineSeconds }}
  ttlSecondsAfterFinished: 86400
  template:
    metadata:
      labels:
        {{- include "innervate.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .name }}
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      securityContext:
        {{- include "innervate.podSecurity" $root | nindent 8 }}
      containers:
        - name: {{ .name }}
          image: {{ include "innervate.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ .command }}]
          env:
            {{- if .agents }}
            - name: AGENTS
              value: {{ join "," .agents | quote }}
            {{- end }}
            {{- with .router }}
            - name: ROUTER
              value: {{ . }}
            {{- end }}
            {{- $secrets := merge (deepCopy .secrets) $root.Values.secrets }}
            {{- include "innervate.env" (dict "settings" $root.Values.settings "secrets" $secrets) | nindent 12 }}
          securityContext:
            {{- include "innervate.containerSecurity" $root | nindent 12 }}
          resources:
            {{- toYaml $root.Values.jobs.resources | nindent 12 }}
          volumeMounts:
            {{- include "innervate.mounts" $root | nindent 12 }}
      volumes:
        {{- include "innervate.volumes" $root | nindent 8 }}
{{- end -}}
