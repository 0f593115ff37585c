// Writes src/k8s/testdata/strategic_merge.json: strategic merge patches as kubectl apply computes them, with the outcome that
// k8s.io/apimachinery gives, for random Deployments and Services.
//
//	cd tools/api_fields && go run ./cases > ../../src/k8s/testdata/strategic_merge.json
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

type object = map[string]any

var r = rand.New(rand.NewSource(7))

func pick(from ...string) []string {
	out := []string{}
	for _, i := range r.Perm(len(from)) {
		if r.Intn(2) == 0 {
			out = append(out, from[i])
		}
	}
	return out
}

func labels() object {
	out := object{}
	for _, k := range pick("app", "tier", "team") {
		out[k] = string(rune('a' + r.Intn(3)))
	}
	return out
}

func list[T any](names []string, make func(string) T) []any {
	out := []any{}
	for _, n := range names {
		out = append(out, make(n))
	}
	return out
}

func container(name string) any {
	c := object{"name": name, "image": fmt.Sprintf("i:%d", r.Intn(3))}
	if r.Intn(2) == 0 {
		c["env"] = list(pick("A", "B", "C", "D"), func(n string) any { return object{"name": n, "value": fmt.Sprint(r.Intn(2))} })
	}
	if r.Intn(2) == 0 {
		c["ports"] = list(pick("80", "81", "443"), func(n string) any {
			p := 0
			fmt.Sscan(n, &p)
			return object{"containerPort": p, "protocol": []string{"TCP", "UDP"}[r.Intn(2)]}
		})
	}
	if r.Intn(2) == 0 {
		c["args"] = pick("x", "y", "z")
	}
	if r.Intn(3) == 0 {
		c["readinessProbe"] = object{"httpGet": object{"port": r.Intn(2) + 80}, "periodSeconds": r.Intn(3)}
	}
	return c
}

func volume(name string) any {
	if r.Intn(2) == 0 {
		return object{"name": name, "emptyDir": object{}}
	}
	return object{"name": name, "configMap": object{"name": fmt.Sprint("m", r.Intn(2))}}
}

func metadata() object {
	m := object{"name": "a", "labels": labels()}
	if r.Intn(2) == 0 {
		m["finalizers"] = pick("x/a", "x/b", "x/c")
	}
	if r.Intn(2) == 0 {
		m["ownerReferences"] = list(pick("1", "2"), func(n string) any { return object{"uid": n, "name": "o" + n, "kind": "K", "apiVersion": "v1"} })
	}
	return m
}

func deployment() object {
	spec := object{"replicas": r.Intn(3)}
	if r.Intn(2) == 0 {
		spec["strategy"] = object{"type": "Recreate"}
	} else {
		spec["strategy"] = object{"type": "RollingUpdate", "rollingUpdate": object{"maxSurge": r.Intn(3)}}
	}
	pod := object{"containers": list(pick("a", "b", "c", "d"), container)}
	if r.Intn(2) == 0 {
		pod["volumes"] = list(pick("v", "w", "x"), volume)
	}
	if r.Intn(2) == 0 {
		pod["tolerations"] = list(pick("t", "u"), func(n string) any { return object{"key": n, "operator": "Exists"} })
	}
	spec["template"] = object{"metadata": object{"labels": labels()}, "spec": pod}
	return object{"metadata": metadata(), "spec": spec}
}

func service() object {
	return object{"metadata": metadata(), "spec": object{"selector": labels(), "ports": list(pick("80", "81", "443"), func(n string) any {
		p := 0
		fmt.Sscan(n, &p)
		return object{"port": p, "name": "p" + n, "targetPort": r.Intn(3)}
	})}}
}

func encode(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return out
}

func main() {
	fmt.Println("[")
	for i := 0; i < 40; i++ {
		kind, make_, schema := "Deployment", deployment, any(appsv1.Deployment{})
		if i%4 == 3 {
			kind, make_, schema = "Service", service, any(corev1.Service{})
		}
		original, modified, current := encode(make_()), encode(make_()), encode(make_())
		meta, _ := strategicpatch.NewPatchMetaFromStruct(schema)
		patch, err := strategicpatch.CreateThreeWayMergePatch(original, modified, current, meta, true)
		if err != nil {
			continue
		}
		result, err := strategicpatch.StrategicMergePatch(current, patch, schema)
		if err != nil {
			continue
		}
		comma := ","
		if i == 39 {
			comma = ""
		}
		fmt.Printf("{\"kind\":%q,\"current\":%s,\"patch\":%s,\"result\":%s}%s\n", kind, current, patch, result, comma)
	}
	fmt.Println("]")
}
