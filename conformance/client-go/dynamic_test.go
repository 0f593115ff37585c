package clientgo

import (
	"encoding/json"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
)

const definition = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"boats.example.org"},
"spec":{"group":"example.org","scope":"Namespaced","names":{"plural":"boats","singular":"boat","kind":"Boat"},
"versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{}},"schema":{"openAPIV3Schema":{"type":"object","properties":{
"spec":{"type":"object","properties":{"sails":{"type":"integer","minimum":1,"default":2},"crew":{"type":"array","items":{"type":"string"}}}},
"status":{"type":"object","properties":{"afloat":{"type":"boolean"}}}}}}}]}}`

var boats = schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "boats"}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	out := &unstructured.Unstructured{}
	check(t, json.Unmarshal([]byte(text), &out.Object))
	return out
}

func boat(t *testing.T, name string) *unstructured.Unstructured {
	return object(t, fmt.Sprintf(`{"apiVersion":"example.org/v1","kind":"Boat","metadata":{"name":%q},"spec":{"crew":["a"]}}`, name))
}

func define(t *testing.T, s *server) dynamic.Interface {
	t.Helper()
	ctx, client := background(t), dynamic.NewForConfigOrDie(s.config)
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	_, err := definitions.Create(ctx, object(t, definition), metav1.CreateOptions{})
	check(t, err)
	eventually(t, "the kind is established", func() bool {
		found, err := definitions.Get(ctx, "boats.example.org", metav1.GetOptions{})
		check(t, err)
		conditions, _, _ := unstructured.NestedSlice(found.Object, "status", "conditions")
		for _, condition := range conditions {
			if c := condition.(map[string]any); c["type"] == "Established" && c["status"] == "True" {
				return true
			}
		}
		return false
	})
	return client
}

func TestTheDynamicClientAndCustomKinds(t *testing.T) {
	s := start(t)
	ctx, client := background(t), define(t, s)
	mine := client.Resource(boats).Namespace("default")
	made, err := mine.Create(ctx, boat(t, "one"), metav1.CreateOptions{})
	check(t, err)
	if sails, _, _ := unstructured.NestedInt64(made.Object, "spec", "sails"); sails != 2 {
		t.Errorf("sails is %d by default", sails)
	}
	if _, err := mine.Patch(ctx, "one", types.MergePatchType, []byte(`{"spec":{"sails":0}}`), metav1.PatchOptions{}); err == nil {
		t.Error("a boat without sails is taken")
	}
	made, err = mine.Patch(ctx, "one", types.JSONPatchType, []byte(`[{"op":"add","path":"/spec/crew/-","value":"b"}]`), metav1.PatchOptions{})
	check(t, err)
	check(t, unstructured.SetNestedField(made.Object, true, "status", "afloat"))
	check(t, unstructured.SetNestedField(made.Object, int64(9), "spec", "sails"))
	made, err = mine.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	check(t, err)
	afloat, _, _ := unstructured.NestedBool(made.Object, "status", "afloat")
	if sails, _, _ := unstructured.NestedInt64(made.Object, "spec", "sails"); !afloat || sails != 2 {
		t.Errorf("after a write of the status it is afloat: %v, with %d sails", afloat, sails)
	}
	applied, err := mine.Apply(ctx, "two", boat(t, "two"), metav1.ApplyOptions{FieldManager: "conformance"})
	check(t, err)
	if len(applied.GetManagedFields()) != 1 || applied.GetManagedFields()[0].Manager != "conformance" {
		t.Errorf("managed by %v", applied.GetManagedFields())
	}
	other := boat(t, "two")
	check(t, unstructured.SetNestedStringSlice(other.Object, []string{"z"}, "spec", "crew"))
	if _, err := mine.Apply(ctx, "two", other, metav1.ApplyOptions{FieldManager: "somebody"}); err == nil {
		t.Error("a field of another manager is taken without force")
	}
	_, err = mine.Apply(ctx, "two", other, metav1.ApplyOptions{FieldManager: "somebody", Force: true})
	check(t, err)
	for i := range 8 {
		_, err := mine.Create(ctx, boat(t, fmt.Sprintf("more-%d", i)), metav1.CreateOptions{})
		check(t, err)
	}
	names, next := map[string]bool{}, ""
	for {
		piece, err := mine.List(ctx, metav1.ListOptions{Limit: 3, Continue: next})
		check(t, err)
		for _, item := range piece.Items {
			names[item.GetName()] = true
		}
		if next = piece.GetContinue(); next == "" {
			break
		}
	}
	if len(names) != 10 {
		t.Errorf("%d of 10 boats in pieces", len(names))
	}
	check(t, mine.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	if _, err := mine.Get(ctx, "one", metav1.GetOptions{}); !notFound(err) {
		t.Errorf("after all are deleted one is: %v", err)
	}
}

func TestADynamicInformerFollowsACustomKind(t *testing.T) {
	s := start(t)
	ctx, client := background(t), define(t, s)
	mine := client.Resource(boats).Namespace("default")
	_, err := mine.Create(ctx, boat(t, "early"), metav1.CreateOptions{})
	check(t, err)
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	lister := factory.ForResource(boats).Lister()
	informer := factory.ForResource(boats).Informer()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("no sync")
	}
	_, err = mine.Create(ctx, boat(t, "late"), metav1.CreateOptions{})
	check(t, err)
	check(t, mine.Delete(ctx, "early", metav1.DeleteOptions{}))
	eventually(t, "the late one alone", func() bool {
		listed, err := lister.List(everything())
		return err == nil && len(listed) == 1 && listed[0].(*unstructured.Unstructured).GetName() == "late"
	})
}

func TestKindsAreFoundByDiscovery(t *testing.T) {
	s := start(t)
	define(t, s)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(s.client().Discovery()))
	for kind, want := range map[schema.GroupKind]string{
		{Group: "", Kind: "Service"}:                              "services",
		{Group: "apps", Kind: "StatefulSet"}:                      "statefulsets",
		{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:        "endpointslices",
		{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:       "networkpolicies",
		{Group: "coordination.k8s.io", Kind: "Lease"}:             "leases",
		{Group: "example.org", Kind: "Boat"}:                      "boats",
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}: "clusterroles",
	} {
		found, err := mapper.RESTMapping(kind)
		if err != nil || found.Resource.Resource != want {
			t.Errorf("%v: %v, %v", kind, found, err)
		}
	}
}
