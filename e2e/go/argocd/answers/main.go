// Tells what Argo CD itself makes of objects: the reference for what config/argocd tells it.
//
// With the paths of a ConfigMap argocd-cm and of what a cluster serves at /openapi/v2 it reads a question on each line of standard input, and answers each on a line
// of its own, after the settings as Argo CD reads them from that ConfigMap:
//
//	{"health": object}                      {"status": "Healthy", "message": "…"}
//	{"declared": object, "live": object}    {"outOfSync": true, "patch": {…}}
//
// or {"error": "…"} where Argo CD fails.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/argo-cd/v3/util/settings"
	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/kube-openapi/pkg/util/proto"
	"sigs.k8s.io/yaml"
)

type question struct {
	Health   map[string]any `json:"health"`
	Declared map[string]any `json:"declared"`
	Live     map[string]any `json:"live"`
}

type answer struct {
	Status    string          `json:"status,omitempty"`
	Message   string          `json:"message,omitempty"`
	OutOfSync *bool           `json:"outOfSync,omitempty"`
	Patch     json.RawMessage `json:"patch,omitempty"`
	Error     string          `json:"error,omitempty"`
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) != 2 {
		return errors.New("usage: answers CONFIGMAP OPENAPI")
	}
	overrides, err := read(arguments[0])
	if err != nil {
		return err
	}
	kinds, err := kindsOf(arguments[1])
	if err != nil {
		return err
	}
	questions := json.NewDecoder(bufio.NewReader(in))
	answers := json.NewEncoder(out)
	for {
		var asked question
		if err := questions.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := answers.Encode(reply(overrides, kinds, asked)); err != nil {
			return err
		}
	}
}

// The settings of a ConfigMap, by group and kind, as Argo CD reads them.
func read(path string) (map[string]v1alpha1.ResourceOverride, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return nil, err
	}
	// A patch of the ConfigMap that is there, which has the label by which Argo CD finds it.
	partOf := map[string]string{"app.kubernetes.io/part-of": "argocd"}
	config.Labels = partOf
	secret := corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: common.ArgoCDSecretName, Namespace: config.Namespace, Labels: partOf,
	}}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	manager := settings.NewSettingsManager(ctx, fake.NewClientset(&config, &secret), config.Namespace)
	overrides, err := manager.GetResourceOverrides()
	if err != nil {
		return nil, err
	}
	if _, found := overrides["landingzones.dev/LandingZone"]; !found {
		return nil, fmt.Errorf("%s says nothing of landing zones", path)
	}
	return overrides, nil
}

// The kinds of a cluster, as Argo CD learns them.
func kindsOf(path string) (*managedfields.GvkParser, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	document, err := openapi_v2.ParseDocument(text)
	if err != nil {
		return nil, err
	}
	models, err := proto.NewOpenAPIData(document)
	if err != nil {
		return nil, err
	}
	return managedfields.NewGVKParser(models, false)
}

func reply(overrides map[string]v1alpha1.ResourceOverride, kinds *managedfields.GvkParser, asked question) answer {
	if asked.Health != nil {
		return judge(overrides, &unstructured.Unstructured{Object: asked.Health})
	}
	declared, live := &unstructured.Unstructured{Object: asked.Declared}, &unstructured.Unstructured{Object: asked.Live}
	return compare(overrides, kinds, declared, live)
}

func judge(overrides map[string]v1alpha1.ResourceOverride, object *unstructured.Unstructured) answer {
	health, err := lua.ResourceHealthOverrides(overrides).GetResourceHealth(object)
	if err != nil {
		return answer{Error: err.Error()}
	}
	if health == nil {
		return answer{Error: "no check for this kind"}
	}
	return answer{Status: string(health.Status), Message: health.Message}
}

// Whether Argo CD would show what is live as something else than what is declared.
func compare(
	overrides map[string]v1alpha1.ResourceOverride, kinds *managedfields.GvkParser, declared, live *unstructured.Unstructured,
) answer {
	config, err := diff.NewDiffConfigBuilder().
		WithDiffSettings(nil, overrides, true, normalizers.IgnoreNormalizerOpts{}).
		WithGVKParser(kinds).
		WithTracking(common.LabelKeyAppInstance, string(v1alpha1.TrackingMethodAnnotation)).
		WithNoCache().
		Build()
	if err != nil {
		return answer{Error: err.Error()}
	}
	result, err := diff.StateDiff(live, declared, config)
	if err != nil {
		return answer{Error: err.Error()}
	}
	if !result.Modified {
		return answer{OutOfSync: &result.Modified}
	}
	var before, after any
	if err := errors.Join(json.Unmarshal(result.NormalizedLive, &before), json.Unmarshal(result.PredictedLive, &after)); err != nil {
		return answer{Error: err.Error()}
	}
	patch, err := json.Marshal(map[string]any{"live": before, "declared": after})
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{OutOfSync: &result.Modified, Patch: patch}
}
