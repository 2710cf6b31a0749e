{{/* The objects of config/ in one of the generated files, in the namespace of the release. */}}
{{- define "landing-zone-operator.objects" -}}
{{- .root.Files.Get .file | replace "landing-zone-system" .root.Release.Namespace }}
{{- end -}}

{{- define "landing-zone-operator.image" -}}
{{- .Values.image.repository }}
{{- with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end -}}

{{- define "landing-zone-operator.selector" -}}
app.kubernetes.io/name: landing-zone-operator
{{- end -}}
