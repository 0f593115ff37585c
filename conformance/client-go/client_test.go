// Package clientgo is what operators are made of, informers, leader election and the dynamic client, against `carrick apiserver`.
// CARRICK names the program.
package clientgo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// A server with the objects of its folder, until it is killed.
type server struct {
	t       *testing.T
	folder  string
	port    string
	command *exec.Cmd
	config  *rest.Config
}

func start(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, folder: t.TempDir(), port: "0"}
	s.run()
	t.Cleanup(s.kill)
	return s
}

func (s *server) run() {
	s.t.Helper()
	kubeconfig := filepath.Join(s.folder, "kubeconfig")
	_ = os.Remove(kubeconfig)
	s.command = exec.Command(os.Getenv("CARRICK"), "apiserver", "--port", s.port, "--kubeconfig", kubeconfig, "--data", s.folder, "--pretend-nodes", "2")
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the server starts", func() bool {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return false
		}
		config.QPS, config.Burst = 1000, 1000
		s.config = config
		_, err = kubernetes.NewForConfigOrDie(config).Discovery().ServerVersion()
		return err == nil
	})
	var port int
	_, _ = fmt.Sscanf(s.config.Host, "https://127.0.0.1:%d", &port)
	s.port = fmt.Sprint(port)
}

func (s *server) kill() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

func (s *server) client() *kubernetes.Clientset { return kubernetes.NewForConfigOrDie(s.config) }

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(60 * time.Second); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func configMap(name, value string) *v1.ConfigMap {
	return &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "x"}}, Data: map[string]string{"value": value}}
}

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return ctx
}

// What handlers were told, by name.
type told struct {
	sync.Mutex
	added, updated, deleted map[string]int
	last                    map[string]string
}

func newTold() *told {
	return &told{added: map[string]int{}, updated: map[string]int{}, deleted: map[string]int{}, last: map[string]string{}}
}

func (m *told) read(f func()) {
	m.Lock()
	defer m.Unlock()
	f()
}

func everything() labels.Selector { return labels.Everything() }
func notFound(err error) bool     { return apierrors.IsNotFound(err) }
