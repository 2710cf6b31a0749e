// Prints the cases of cyclonus, which tests implementations of Kubernetes' network policies, and what cyclonus
// expects of them: the reference for our own evaluator.
//
// Each line is what is there after one step of a case, and for each pair of ends, protocol and port whether a
// connection is allowed:
//
//	{"case": "…", "namespaces": {"x": {"ns": "x"}}, "pods": [{"namespace": "x", "name": "a", "ip": "…", "labels": {}}],
//	 "policies": [{…}], "expected": [{"from": 0, "to": 1, "protocol": "TCP", "port": 80, "ingress": true, "egress": true}]}
//
// Ends are positions in the list of pods; -1 is the machine outside.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// outside is the address of a machine that is no pod.
const outside = "203.0.113.9"

var (
	namespaces = []string{"x", "y", "z"}
	podNames   = []string{"a", "b", "c"}
	ports      = []int{80, 81}
	protocols  = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
)

type pod struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	IP        string            `json:"ip"`
	Labels    map[string]string `json:"labels"`
}

type expectation struct {
	From     int             `json:"from"`
	To       int             `json:"to"`
	Protocol corev1.Protocol `json:"protocol"`
	Port     int             `json:"port"`
	Ingress  bool            `json:"ingress"`
	Egress   bool            `json:"egress"`
}

type state struct {
	Case       string                        `json:"case"`
	Namespaces map[string]map[string]string  `json:"namespaces"`
	Pods       []pod                         `json:"pods"`
	Policies   []*networkingv1.NetworkPolicy `json:"policies"`
	Expected   []expectation                 `json:"expected"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	told := json.NewEncoder(out)
	podIP := address("z", "c")
	cases := generator.NewTestCaseGenerator(true, podIP, namespaces, nil, nil).GenerateAllTestCases()
	for _, each := range cases {
		now := beginning()
		for number, step := range each.Steps {
			now.Case = fmt.Sprintf("%s (step %d)", each.Description, number+1)
			for _, action := range step.Actions {
				if err := now.apply(action); err != nil {
					return fmt.Errorf("%s: %w", now.Case, err)
				}
			}
			now.expect()
			if err := told.Encode(now); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

func address(namespace, name string) string {
	return fmt.Sprintf("192.168.%d.%d", strings.Index("xyz", namespace)+1, strings.Index("abcd", name)+1)
}

// beginning is what cyclonus has before each case.
func beginning() *state {
	begin := &state{Namespaces: map[string]map[string]string{}}
	for _, namespace := range namespaces {
		begin.Namespaces[namespace] = labelsOf(namespace, map[string]string{"ns": namespace})
		for _, name := range podNames {
			begin.Pods = append(begin.Pods, pod{namespace, name, address(namespace, name), map[string]string{"pod": name}})
		}
	}
	return begin
}

// labelsOf adds what the API server adds.
func labelsOf(namespace string, labels map[string]string) map[string]string {
	all := map[string]string{"kubernetes.io/metadata.name": namespace}
	for key, value := range labels {
		all[key] = value
	}
	return all
}

func (s *state) apply(action *generator.Action) error {
	switch {
	case action.CreatePolicy != nil:
		s.Policies = append(s.Policies, action.CreatePolicy.Policy)
	case action.UpdatePolicy != nil:
		changed := action.UpdatePolicy.Policy
		s.remove(changed.Namespace, changed.Name)
		s.Policies = append(s.Policies, changed)
	case action.DeletePolicy != nil:
		s.remove(action.DeletePolicy.Namespace, action.DeletePolicy.Name)
	case action.CreateNamespace != nil:
		it := action.CreateNamespace
		s.Namespaces[it.Namespace] = labelsOf(it.Namespace, it.Labels)
	case action.SetNamespaceLabels != nil:
		it := action.SetNamespaceLabels
		s.Namespaces[it.Namespace] = labelsOf(it.Namespace, it.Labels)
	case action.DeleteNamespace != nil:
		name := action.DeleteNamespace.Namespace
		delete(s.Namespaces, name)
		s.keepPods(func(it pod) bool { return it.Namespace != name })
	case action.ReadNetworkPolicies != nil:
	case action.CreatePod != nil:
		it := action.CreatePod
		s.Pods = append(s.Pods, pod{it.Namespace, it.Pod, address(it.Namespace, it.Pod), it.Labels})
	case action.SetPodLabels != nil:
		it := action.SetPodLabels
		for index := range s.Pods {
			if s.Pods[index].Namespace == it.Namespace && s.Pods[index].Name == it.Pod {
				s.Pods[index].Labels = it.Labels
			}
		}
	case action.DeletePod != nil:
		it := action.DeletePod
		s.keepPods(func(known pod) bool { return known.Namespace != it.Namespace || known.Name != it.Pod })
	default:
		return fmt.Errorf("an action of a kind that is not known")
	}
	return nil
}

func (s *state) remove(namespace, name string) {
	var left []*networkingv1.NetworkPolicy
	for _, policy := range s.Policies {
		if policy.Namespace != namespace || policy.Name != name {
			left = append(left, policy)
		}
	}
	s.Policies = left
}

func (s *state) keepPods(keep func(pod) bool) {
	var left []pod
	for _, it := range s.Pods {
		if keep(it) {
			left = append(left, it)
		}
	}
	s.Pods = left
}

func (s *state) expect() {
	s.Expected = nil
	policy := matcher.BuildNetworkPolicies(false, s.Policies)
	for from := -1; from < len(s.Pods); from++ {
		for to := -1; to < len(s.Pods); to++ {
			if from == to {
				// What a pod sends to itself is policed by nobody.
				continue
			}
			for _, protocol := range protocols {
				for _, port := range ports {
					result := policy.IsTrafficAllowed(&matcher.Traffic{
						Source:           s.peer(from),
						Destination:      s.peer(to),
						ResolvedPort:     port,
						ResolvedPortName: s.portName(to, port, protocol),
						Protocol:         protocol,
					})
					s.Expected = append(s.Expected, expectation{
						From: from, To: to, Protocol: protocol, Port: port,
						Ingress: result.Ingress.IsAllowed(), Egress: result.Egress.IsAllowed(),
					})
				}
			}
		}
	}
}

func (s *state) peer(index int) *matcher.TrafficPeer {
	if index < 0 {
		return &matcher.TrafficPeer{IP: outside}
	}
	it := s.Pods[index]
	return &matcher.TrafficPeer{
		IP: it.IP,
		Internal: &matcher.InternalPeer{
			PodLabels:       it.Labels,
			NamespaceLabels: s.Namespaces[it.Namespace],
			Namespace:       it.Namespace,
		},
	}
}

// portName is what the container calls a port; a machine outside has no such names.
func (s *state) portName(to, port int, protocol corev1.Protocol) string {
	if to < 0 {
		return ""
	}
	return fmt.Sprintf("serve-%d-%s", port, strings.ToLower(string(protocol)))
}
