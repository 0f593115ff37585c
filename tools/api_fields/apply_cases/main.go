// Writes src/apiserver/testdata/apply.json: what sigs.k8s.io/structured-merge-diff makes of random applies and updates of
// Deployments, with the schema of client-go: after each step the object, the managers, and the conflicts.
//
//	cd tools/api_fields && go run ./apply_cases > ../../src/apiserver/testdata/apply.json
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"sort"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/merge"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

type object = map[string]any

var r = rand.New(rand.NewSource(5))

func some(from ...string) []string {
	out := []string{}
	for _, i := range r.Perm(len(from)) {
		if r.Intn(2) == 0 {
			out = append(out, from[i])
		}
	}
	return out
}

func words(keys ...string) object {
	out := object{}
	for _, k := range some(keys...) {
		out[k] = string(rune('a' + r.Intn(2)))
	}
	return out
}

func list(names []string, make func(string) any) []any {
	out := []any{}
	for _, n := range names {
		out = append(out, make(n))
	}
	return out
}

func maybe(o object, key string, value any) {
	if r.Intn(2) == 0 {
		o[key] = value
	}
}

func container(name string) any {
	c := object{"name": name}
	maybe(c, "image", fmt.Sprint("i", r.Intn(2)))
	maybe(c, "env", list(some("A", "B", "C"), func(n string) any { return object{"name": n, "value": fmt.Sprint(r.Intn(2))} }))
	maybe(c, "args", list(some("x", "y"), func(n string) any { return n }))
	maybe(c, "ports", list(some("80", "81"), func(n string) any {
		p := 0
		fmt.Sscan(n, &p)
		o := object{"containerPort": int64(p), "protocol": "TCP"}
		maybe(o, "name", "n"+n)
		return o
	}))
	maybe(c, "resources", object{"limits": words("cpu", "memory")})
	return c
}

func configuration() object {
	meta := object{"name": "a"}
	maybe(meta, "labels", words("app", "tier"))
	maybe(meta, "annotations", words("x", "y"))
	maybe(meta, "finalizers", list(some("f/a", "f/b", "f/c"), func(n string) any { return n }))
	pod := object{"containers": list(some("a", "b", "c"), container)}
	maybe(pod, "nodeSelector", words("disk", "zone"))
	maybe(pod, "tolerations", list(some("k", "l"), func(n string) any { return object{"key": n, "operator": "Exists"} }))
	maybe(pod, "volumes", list(some("v", "w"), func(n string) any { return object{"name": n, "emptyDir": object{}} }))
	spec := object{"template": object{"metadata": object{"labels": words("app")}, "spec": pod}}
	maybe(spec, "replicas", int64(r.Intn(3)))
	maybe(spec, "selector", object{"matchLabels": words("app", "tier")})
	maybe(spec, "strategy", object{"type": "Recreate"})
	return object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
}

type same struct{}

func (same) Convert(o *typed.TypedValue, v fieldpath.APIVersion) (*typed.TypedValue, error) {
	return o, nil
}
func (same) IsMissingVersionError(error) bool { return false }

func main() {
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	parse := func(o object) *typed.TypedValue {
		v, err := converter.ObjectToTyped(&unstructured.Unstructured{Object: o})
		if err != nil {
			panic(err)
		}
		return v
	}
	updater := (&merge.UpdaterBuilder{Converter: same{}, ReturnInputOnNoop: true}).BuildUpdater()
	stripped := fieldpath.NewSet(fieldpath.MakePathOrDie("apiVersion"), fieldpath.MakePathOrDie("kind"), fieldpath.MakePathOrDie("metadata", "name"))
	cases := []any{}
	for n := 0; n < 40; n++ {
		live := parse(object{"apiVersion": "apps/v1", "kind": "Deployment"})
		managers := fieldpath.ManagedFields{}
		steps := []any{}
		for i := 0; i < 5; i++ {
			config := configuration()
			text, _ := json.Marshal(config)
			name := []string{"ann", "bob", "eve"}[r.Intn(3)]
			step := object{"manager": name, "object": json.RawMessage(text)}
			var err error
			var next *typed.TypedValue
			after := managers.Copy()
			if i > 0 && r.Intn(3) == 0 {
				step["operation"] = "Update"
				next, after, err = updater.Update(live, parse(config), "apps/v1", after, "update-"+name)
			} else {
				force := r.Intn(2) == 0
				step["operation"], step["force"] = "Apply", force
				next, after, err = updater.Apply(live, parse(config), "apps/v1", after, name, force)
			}
			if conflicts, ok := err.(merge.Conflicts); ok {
				paths := []string{}
				for _, c := range conflicts {
					paths = append(paths, c.Path.String())
				}
				sort.Strings(paths)
				step["conflicts"] = paths
			} else if err != nil {
				panic(err)
			} else {
				if next != nil {
					live = next
				}
				managers = after
			}
			fields := object{}
			for name, set := range managers {
				rest := set.Set().Difference(stripped)
				if rest.Empty() {
					continue
				}
				text, err := rest.ToJSON()
				if err != nil {
					panic(err)
				}
				fields[name] = json.RawMessage(text)
			}
			step["managers"] = fields
			step["live"] = live.AsValue().Unstructured()
			steps = append(steps, step)
		}
		cases = append(cases, steps)
	}
	encoder := json.NewEncoder(os.Stdout)
	fmt.Println("[")
	for i, c := range cases {
		if i > 0 {
			fmt.Println(",")
		}
		if err := encoder.Encode(c); err != nil {
			panic(err)
		}
	}
	fmt.Println("]")
}
