package clientgo

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
)

func schemes() *runtime.Scheme { return scheme.Scheme }
func sink(client kubernetes.Interface) record.EventSink {
	return &typedcore.EventSinkImpl{Interface: client.CoreV1().Events("")}
}

func stand(t *testing.T, s *server, name string, release bool, leads chan<- string) context.CancelFunc {
	t.Helper()
	client := s.client()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	lock := &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Name: "leader", Namespace: "default"}, Client: client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: name}}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{Lock: lock, ReleaseOnCancel: release,
		LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 200 * time.Millisecond,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { leads <- name }, OnStoppedLeading: func() {}}})
	check(t, err)
	go elector.Run(ctx)
	return cancel
}

func TestOneLeadsAndTheNextTakesOver(t *testing.T) {
	s := start(t)
	leads := make(chan string, 3)
	leaveFirst := stand(t, s, "first", true, leads)
	next := func(within time.Duration) string {
		select {
		case name := <-leads:
			return name
		case <-time.After(within):
			return "nobody"
		}
	}
	if who := next(30 * time.Second); who != "first" {
		t.Fatalf("%s leads", who)
	}
	leaveSecond := stand(t, s, "second", false, leads)
	if who := next(4 * time.Second); who != "nobody" {
		t.Fatalf("%s leads beside the first", who)
	}
	leaveFirst()
	if who := next(30 * time.Second); who != "second" {
		t.Fatalf("after a release %s leads", who)
	}
	stand(t, s, "third", true, leads)
	leaveSecond() // without a word: the lease has to run out
	if who := next(60 * time.Second); who != "third" {
		t.Fatalf("after an end without a release %s leads", who)
	}
	lease, err := s.client().CoordinationV1().Leases("default").Get(context.Background(), "leader", metav1.GetOptions{})
	check(t, err)
	if *lease.Spec.HolderIdentity != "third" || *lease.Spec.LeaseTransitions != 2 {
		t.Fatalf("the lease says %s after %d transitions", *lease.Spec.HolderIdentity, *lease.Spec.LeaseTransitions)
	}
}
