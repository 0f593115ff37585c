// Package conformance is the conformance suite of network-policy-api as its module has it, against the cluster of KUBECONFIG.
package conformance

import (
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	api "sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/network-policy-api/conformance/tests"
	timeouts "sigs.k8s.io/network-policy-api/conformance/utils/config"
	"sigs.k8s.io/network-policy-api/conformance/utils/suite"
)

func TestNetworkPolicyAPI(t *testing.T) {
	cfg := config.GetConfigOrDie()
	cfg.QPS, cfg.Burst = 200, 400
	c, err := client.New(cfg, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Install(c.Scheme()); err != nil {
		t.Fatal(err)
	}
	s := suite.New(suite.Options{Client: c, ClientSet: kubernetes.NewForConfigOrDie(cfg), KubeConfig: *cfg,
		EnableAllSupportedFeatures: true, CleanupBaseResources: true,
		TimeoutConfig: timeouts.TimeoutConfig{RequestTimeout: 500 * time.Millisecond, PokeTimeout: 5 * time.Second, PokeInterval: 50 * time.Millisecond}})
	s.Setup(t)
	s.Run(t, tests.ConformanceTests)
}
