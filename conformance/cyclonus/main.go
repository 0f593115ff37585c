// Cyclonus' own cases, judged by its own code, against the cluster of a kubeconfig: only limits of speed are other than its
// program's (requests a second, and the time-out of a probe, which its flag knows in whole seconds alone).
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mattfenwick/cyclonus/pkg/connectivity"
	"github.com/mattfenwick/cyclonus/pkg/connectivity/probe"
	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/mattfenwick/cyclonus/pkg/kube"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

type quick struct {
	kube.IKubernetes
	timeout time.Duration
}

func (q quick) ExecuteRemoteCommand(namespace, pod, container string, command []string) (string, string, error, error) {
	for i, word := range command {
		if strings.HasPrefix(word, "--timeout=") {
			command[i] = fmt.Sprintf("--timeout=%s", q.timeout)
		}
	}
	return q.IKubernetes.ExecuteRemoteCommand(namespace, pod, container, command)
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return value
}

var (
	kubeconfig = flag.String("kubeconfig", "", "of the cluster")
	all        = flag.Bool("all", false, "all cases, not only those that cyclonus runs by default")
	protocols  = flag.String("protocols", "TCP,UDP,SCTP", "")
	timeout    = flag.Duration("timeout", 200*time.Millisecond, "of a probe")
	retries    = flag.Int("retries", 0, "of a step whose table is not as expected")
	to         = flag.String("destination", "", "pod-ip, service-ip or service-name; otherwise the case decides")
	only       = flag.Int("only", 0, "the number of one case")
	first      = flag.Int("first", 1, "the number of the case to begin with")
	// Upstream leaves open whether a policy holds between a pod and itself; here it does not (docs/design/policy.md).
	ignoreSelf = flag.Bool("ignore-loopback", true, "do not judge what a pod says to itself")
	verbose    = flag.Bool("v", false, "print the tables of each case")
)

func main() {
	flag.Parse()
	config := must(clientcmd.BuildConfigFromFlags("", *kubeconfig))
	config.QPS, config.Burst = 1000, 2000
	api := quick{&kube.Kubernetes{ClientSet: kubernetes.NewForConfigOrDie(config), RestConfig: config}, *timeout}
	var kinds []v1.Protocol
	for _, name := range strings.Split(*protocols, ",") {
		kinds = append(kinds, v1.Protocol(name))
	}
	namespaces, pods := []string{"x", "y", "z"}, []string{"a", "b", "c"}
	resources := must(probe.NewDefaultResources(api, namespaces, pods, []int{80, 81}, kinds, nil, 60, false, "registry.k8s.io"))
	// A probe that cannot be made at all counts as denied: so one that must succeed comes first.
	zc := must(resources.GetPod("z", "c"))
	_, said, failed, err := api.ExecuteRemoteCommand("x", "a", "cont-80-tcp", []string{"/agnhost", "connect", zc.IP + ":80", "--timeout=5s", "--protocol=tcp"})
	if err != nil || failed != nil {
		fmt.Fprintln(os.Stderr, "a probe that nothing forbids fails:", err, failed, said)
		os.Exit(2)
	}
	exclude := []string{generator.TagMultiPeer, generator.TagUpstreamE2E, generator.TagExample, generator.TagEndPort, generator.TagNamespacesByDefaultLabel}
	if *all {
		exclude = nil
	}
	cases := generator.NewTestCaseGenerator(true, zc.IP, namespaces, nil, exclude).GenerateTestCases()
	if *to != "" {
		mode := must(generator.ParseProbeMode(*to))
		for _, testCase := range cases {
			for _, step := range testCase.Steps {
				step.Probe.Mode = mode
			}
		}
	}
	interpreter := connectivity.NewInterpreter(api, resources, &connectivity.InterpreterConfig{
		ResetClusterBeforeTestCase: true, VerifyClusterStateBeforeTestCase: true, JobTimeoutSeconds: 1, KubeProbeRetries: *retries, IgnoreLoopback: *ignoreSelf})
	printer := connectivity.Printer{Noisy: *verbose, IgnoreLoopback: *ignoreSelf}
	passed, bad := 0, 0
	begin := time.Now()
	for i, testCase := range cases {
		if number := i + 1; (*only != 0 && number != *only) || number < *first {
			continue
		}
		started := time.Now()
		result := interpreter.ExecuteTestCase(testCase)
		good := result.Err == nil && result.Passed(*ignoreSelf)
		word := "ok"
		if good {
			passed++
		} else {
			bad++
			word = "FAILED"
		}
		fmt.Printf("%s %d/%d %.1fs %s\n", word, i+1, len(cases), time.Since(started).Seconds(), testCase.Description)
		if !good || *verbose {
			printer.PrintTestCaseResult(result)
		}
	}
	fmt.Printf("cyclonus: %d passed, %d failed, %.0f s\n", passed, bad, time.Since(begin).Seconds())
	if bad > 0 {
		os.Exit(1)
	}
}
