// Tells what Argo CD itself makes of objects: the reference for the health checks in config/argocd.
//
// With the path of a ConfigMap argocd-cm it reads an object on each line of standard input, and answers each on a line
// of its own: {"status": "Healthy", "message": "…"}, or {"error": "…"} where the check fails.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const prefix = "resource.customizations.health."

type answer struct {
	Status  string `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) != 1 {
		return errors.New("usage: health CONFIGMAP")
	}
	checks, err := read(arguments[0])
	if err != nil {
		return err
	}
	objects := json.NewDecoder(bufio.NewReader(in))
	answers := json.NewEncoder(out)
	for {
		var object map[string]any
		if err := objects.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := answers.Encode(judge(checks, object)); err != nil {
			return err
		}
	}
}

// The checks of a ConfigMap, by group and kind, as Argo CD names them.
func read(path string) (lua.ResourceHealthOverrides, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return nil, err
	}
	checks := lua.ResourceHealthOverrides{}
	for key, script := range config.Data {
		if name, found := strings.CutPrefix(key, prefix); found {
			checks[strings.Replace(name, "_", "/", 1)] = v1alpha1.ResourceOverride{HealthLua: script}
		}
	}
	if len(checks) == 0 {
		return nil, fmt.Errorf("no %s in %s", prefix, path)
	}
	return checks, nil
}

func judge(checks lua.ResourceHealthOverrides, object map[string]any) answer {
	health, err := checks.GetResourceHealth(&unstructured.Unstructured{Object: object})
	if err != nil {
		return answer{Error: err.Error()}
	}
	if health == nil {
		return answer{Error: "no check for this kind"}
	}
	return answer{Status: string(health.Status), Message: health.Message}
}
