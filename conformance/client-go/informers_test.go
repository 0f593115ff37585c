package clientgo

import (
	"context"
	"fmt"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/retry"
)

func watchConfigMaps(t *testing.T, factory informers.SharedInformerFactory) (*told, cache.SharedIndexInformer) {
	t.Helper()
	out, informer := newTold(), factory.Core().V1().ConfigMaps().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			m := object.(*v1.ConfigMap)
			out.read(func() { out.added[m.Name]++; out.last[m.Name] = m.Data["value"] })
		},
		UpdateFunc: func(_, object any) {
			m := object.(*v1.ConfigMap)
			out.read(func() { out.updated[m.Name]++; out.last[m.Name] = m.Data["value"] })
		},
		DeleteFunc: func(object any) {
			if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			out.read(func() { out.deleted[object.(*v1.ConfigMap).Name]++ })
		},
	})
	check(t, err)
	return out, informer
}

func TestInformersFollowWhatIsWritten(t *testing.T) {
	s := start(t)
	ctx, client := background(t), s.client()
	maps := client.CoreV1().ConfigMaps("default")
	for i := range 200 {
		_, err := maps.Create(ctx, configMap(fmt.Sprintf("before-%d", i), "0"), metav1.CreateOptions{})
		check(t, err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace("default"),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "app=x" }))
	seen, informer := watchConfigMaps(t, factory)
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("no sync")
	}
	listed, err := factory.Core().V1().ConfigMaps().Lister().ConfigMaps("default").List(everything())
	check(t, err)
	if len(listed) != 200 {
		t.Fatalf("%d ConfigMaps in the cache, 200 were there", len(listed))
	}
	for i := range 100 {
		_, err := maps.Create(ctx, configMap(fmt.Sprintf("after-%d", i), "0"), metav1.CreateOptions{})
		check(t, err)
		_, err = maps.Patch(ctx, fmt.Sprintf("after-%d", i), types.MergePatchType, []byte(`{"data":{"value":"1"}}`), metav1.PatchOptions{})
		check(t, err)
	}
	check(t, maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=x", FieldSelector: "metadata.name=before-7"}))
	// A label that goes away is a deletion for who selects by it.
	_, err = maps.Patch(ctx, "before-8", types.MergePatchType, []byte(`{"metadata":{"labels":{"app":null}}}`), metav1.PatchOptions{})
	check(t, err)
	eventually(t, "all changes are told", func() (all bool) {
		seen.read(func() {
			all = seen.deleted["before-7"] == 1 && seen.deleted["before-8"] == 1 && len(seen.added) == 300
			for i := range 100 {
				all = all && seen.last[fmt.Sprintf("after-%d", i)] == "1"
			}
		})
		return all
	})
	seen.read(func() {
		for name, times := range seen.added {
			if times != 1 {
				t.Errorf("%s was added %d times", name, times)
			}
		}
	})
}

func TestAnInformerOutlivesItsServer(t *testing.T) {
	s := start(t)
	ctx, client := background(t), s.client()
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace("default"))
	seen, informer := watchConfigMaps(t, factory)
	factory.Start(ctx.Done())
	cache.WaitForCacheSync(ctx.Done(), informer.HasSynced)
	for _, name := range []string{"stays", "goes"} {
		_, err := client.CoreV1().ConfigMaps("default").Create(ctx, configMap(name, "1"), metav1.CreateOptions{})
		check(t, err)
	}
	eventually(t, "both are told", func() (all bool) {
		seen.read(func() { all = seen.added["stays"] == 1 && seen.added["goes"] == 1 })
		return all
	})
	s.kill()
	s.run()
	client = s.client()
	found, err := client.CoreV1().ConfigMaps("default").Get(ctx, "stays", metav1.GetOptions{})
	check(t, err)
	found.Data["value"] = "2"
	_, err = client.CoreV1().ConfigMaps("default").Update(ctx, found, metav1.UpdateOptions{})
	check(t, err)
	check(t, client.CoreV1().ConfigMaps("default").Delete(ctx, "goes", metav1.DeleteOptions{}))
	eventually(t, "it goes on with the new server", func() (all bool) {
		seen.read(func() { all = seen.last["stays"] == "2" && seen.deleted["goes"] == 1 && seen.added["stays"] == 1 })
		return all
	})
}

func TestWritersThatConflictTryAgain(t *testing.T) {
	s := start(t)
	ctx, maps := background(t), s.client().CoreV1().ConfigMaps("default")
	_, err := maps.Create(ctx, &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "sum"}, Data: map[string]string{}}, metav1.CreateOptions{})
	check(t, err)
	backoff := wait.Backoff{Steps: 1000, Duration: 5 * time.Millisecond, Factor: 1, Jitter: 1}
	done := make(chan error)
	for writer := range 8 {
		go func() {
			for i := range 10 {
				err := retry.RetryOnConflict(backoff, func() error {
					found, err := maps.Get(context.Background(), "sum", metav1.GetOptions{})
					if err != nil {
						return err
					}
					if found.Data == nil {
						found.Data = map[string]string{}
					}
					found.Data[fmt.Sprintf("%d-%d", writer, i)] = fmt.Sprint(len(found.Data))
					_, err = maps.Update(context.Background(), found, metav1.UpdateOptions{})
					return err
				})
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		check(t, <-done)
	}
	found, err := maps.Get(ctx, "sum", metav1.GetOptions{})
	check(t, err)
	numbers := map[string]bool{}
	for _, value := range found.Data {
		numbers[value] = true
	}
	if len(found.Data) != 80 || len(numbers) != 80 {
		t.Fatalf("%d writes with %d numbers, both should be 80: one was lost", len(found.Data), len(numbers))
	}
}

func TestEventsOfARecorderAreStored(t *testing.T) {
	s := start(t)
	ctx, client := background(t), s.client()
	object, err := client.CoreV1().ConfigMaps("default").Create(ctx, configMap("subject", ""), metav1.CreateOptions{})
	check(t, err)
	object.Kind, object.APIVersion = "ConfigMap", "v1"
	broadcaster := record.NewBroadcaster()
	t.Cleanup(broadcaster.Shutdown)
	broadcaster.StartRecordingToSink(sink(client))
	recorder := broadcaster.NewRecorder(schemes(), v1.EventSource{Component: "conformance"})
	for range 3 {
		recorder.Event(object, v1.EventTypeNormal, "Tested", "a word of the recorder")
	}
	eventually(t, "one event, counted three times", func() bool {
		list, err := client.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=subject,reason=Tested"})
		return err == nil && len(list.Items) == 1 && list.Items[0].Count == 3
	})
}
