{{- define "weftdb.name" -}}
{{- printf "%s" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "weftdb.labels" -}}
app.kubernetes.io/name: weftdb
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "weftdb.selector" -}}
app.kubernetes.io/name: weftdb
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "weftdb.secretName" -}}
{{- .Values.cluster.existingSecret | default (printf "%s-cluster" (include "weftdb.name" .)) -}}
{{- end -}}

{{/* Names of the pods, which are those of the nodes: name-0,name-1,... */}}
{{- define "weftdb.nodes" -}}
{{- $name := include "weftdb.name" . -}}
{{- $names := list -}}
{{- range $number := until (int .Values.replicas) -}}
{{- $names = append $names (printf "%s-%d" $name $number) -}}
{{- end -}}
{{- join "," $names -}}
{{- end -}}
