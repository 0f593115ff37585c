// Writes what Carrick's API server knows of the kinds it offers, read from the Go types of k8s.io/api and from the published
// OpenAPI document of the same version (api/openapi-spec/swagger.json of k8s.io/kubernetes, which is only a file here: `go mod
// download k8s.io/kubernetes@v1.35.4` brings it). Run it again when that version is raised:
//
//	cd tools/api_fields && go run . > ../../src/k8s/api_fields.inc
//
// One line a type: its name and, after @, the part of the API that it is of; then its fields as name:type. Types: s string, i int32, l int64, b boolean, d float64,
// y bytes (base64), t time, m time with microseconds, q quantity, x int-or-string, e list of strings that protobuf wraps into a
// message, * anything (in protobuf a message that holds JSON), B A S a JSON schema or a boolean, a list of schemas, a list of
// strings, or the name of another line; before it [] for a list and {} for a map. After it: @key for a list that a strategic
// merge patch merges by that key, ! for a list of values that it merges, + for a map of which it keeps only the keys it names
// ($retainKeys), ^ for a required field; then # and the field's number in protobuf (2.1: field 1 of the message in field 2, which JSON writes without
// a level of its own; none: not in protobuf), and ? where an empty value on the wire is a value (a pointer in Go, or a field
// that JSON never leaves out); then, for server-side apply, %set, %key,key for a list that is a map by those keys, %atomic for
// a map or object with one owner, %granular for one that has an owner a field although its type says %atomic. Lists without
// a word have one owner. A % behind the type's own name: one owner for all of it. Descriptions are not taken over: Carrick has its
// own (src/apiserver/openapi/field_docs.inc).
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var kinds = map[string][]any{
	"v1": {corev1.Namespace{}, corev1.Node{}, corev1.Pod{}, corev1.Service{}, corev1.Endpoints{}, corev1.ConfigMap{}, corev1.Secret{},
		corev1.ServiceAccount{}, corev1.Event{}, corev1.PersistentVolume{}, corev1.PersistentVolumeClaim{}, corev1.LimitRange{},
		corev1.ResourceQuota{}, corev1.PodTemplate{}, corev1.ReplicationController{}, corev1.Binding{}, metav1.Status{},
		metav1.DeleteOptions{}, metav1.ListMeta{}},
	"apiextensions.k8s.io/v1":      {apiextensionsv1.CustomResourceDefinition{}},
	"apps/v1":                      {appsv1.Deployment{}, appsv1.ReplicaSet{}, appsv1.StatefulSet{}, appsv1.DaemonSet{}, appsv1.ControllerRevision{}},
	"authentication.k8s.io/v1":     {authenticationv1.TokenRequest{}, authenticationv1.TokenReview{}, authenticationv1.SelfSubjectReview{}},
	"authorization.k8s.io/v1":      {authorizationv1.SelfSubjectAccessReview{}, authorizationv1.SubjectAccessReview{}, authorizationv1.LocalSubjectAccessReview{}, authorizationv1.SelfSubjectRulesReview{}},
	"batch/v1":                     {batchv1.Job{}, batchv1.CronJob{}},
	"discovery.k8s.io/v1":          {discoveryv1.EndpointSlice{}},
	"networking.k8s.io/v1":         {networkingv1.NetworkPolicy{}, networkingv1.Ingress{}, networkingv1.IngressClass{}, networkingv1.IPAddress{}, networkingv1.ServiceCIDR{}},
	"node.k8s.io/v1":               {nodev1.RuntimeClass{}},
	"coordination.k8s.io/v1":       {coordinationv1.Lease{}},
	"events.k8s.io/v1":             {eventsv1.Event{}},
	"policy/v1":                    {policyv1.PodDisruptionBudget{}, policyv1.Eviction{}},
	"rbac.authorization.k8s.io/v1": {rbacv1.Role{}, rbacv1.RoleBinding{}, rbacv1.ClusterRole{}, rbacv1.ClusterRoleBinding{}},
	"storage.k8s.io/v1":            {storagev1.StorageClass{}, storagev1.CSIDriver{}, storagev1.CSINode{}, storagev1.VolumeAttachment{}},
	"scheduling.k8s.io/v1":         {schedulingv1.PriorityClass{}},
	"autoscaling/v1":               {autoscalingv1.Scale{}},
	"autoscaling/v2":               {autoscalingv2.HorizontalPodAutoscaler{}},
}

var (
	names = map[reflect.Type]string{}
	used  = map[string]reflect.Type{}
	lines = map[string]string{}
	spec  = readSpec()

	unnumbered = regexp.MustCompile(`#[0-9.]+\??`)
)

func nameOf(t reflect.Type) string {
	if name, ok := names[t]; ok {
		return name
	}
	name := t.Name()
	if other, taken := used[name]; taken && other != t {
		parts := strings.Split(t.PkgPath(), "/")
		name = parts[len(parts)-2] + "." + name
		if used[name] != nil {
			fmt.Fprintln(os.Stderr, "two types are called", name)
			os.Exit(1)
		}
	}
	names[t], used[name] = name, t
	definition := spec[fullName(t)]
	atomic := ""
	if definition.MapType == "atomic" {
		atomic = "%"
	}
	lines[name] = name + atomic + "@" + partOf(t) + fields(t, "", definition)
	return name
}

type schema struct {
	Required   []string
	Properties map[string]schema
	ListType   string   `json:"x-kubernetes-list-type"`
	ListKeys   []string `json:"x-kubernetes-list-map-keys"`
	MapType    string   `json:"x-kubernetes-map-type"`
}

func readSpec() map[string]schema {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile(strings.TrimSpace(string(cache)) + "/k8s.io/kubernetes@v1.35.4/api/openapi-spec/swagger.json")
	if err != nil {
		panic(err)
	}
	var out struct{ Definitions map[string]schema }
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out.Definitions
}

// k8s.io/api/core/v1.Pod is io.k8s.api.core.v1.Pod.
func fullName(t reflect.Type) string {
	return strings.ReplaceAll(strings.Replace(t.PkgPath(), "k8s.io", "io.k8s", 1), "/", ".") + "." + t.Name()
}

// core/v1 of k8s.io/api/core/v1, meta/v1 of k8s.io/apimachinery/pkg/apis/meta/v1.
func partOf(t reflect.Type) string {
	parts := strings.Split(t.PkgPath(), "/")
	return strings.Join(parts[len(parts)-2:], "/")
}

func ownership(f schema) string {
	switch {
	case f.ListType == "set":
		return "%set"
	case f.ListType == "map":
		return "%" + strings.Join(f.ListKeys, ",")
	case f.MapType != "":
		return "%" + f.MapType
	}
	return ""
}

// inside: the numbers of the messages that JSON does not show, "2." for one level.
func fields(t reflect.Type, inside string, definition schema) string {
	out := ""
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		if tag[0] == "-" {
			continue
		}
		number := ""
		if proto := strings.Split(f.Tag.Get("protobuf"), ","); len(proto) > 1 {
			number = inside + proto[1]
		}
		if tag[0] == "" { // embedded
			below := ""
			if number != "" {
				below = number + "."
			}
			embedded := fields(f.Type, below, definition)
			if number == "" { // TypeMeta: protobuf has it around the object
				embedded = unnumbered.ReplaceAllString(embedded, "")
			}
			out += embedded
			continue
		}
		out += " " + tag[0] + ":" + typeOf(f.Type)
		strategy, key := f.Tag.Get("patchStrategy"), f.Tag.Get("patchMergeKey")
		if strings.Contains(strategy, "merge") && key != "" {
			out += "@" + key
		} else if strings.Contains(strategy, "merge") {
			out += "!"
		}
		if strings.Contains(strategy, "retainKeys") {
			out += "+"
		}
		if slices.Contains(definition.Required, tag[0]) {
			out += "^"
		}
		if number != "" {
			out += "#" + number
			omitted := len(tag) > 1 && tag[1] == "omitempty"
			if f.Type.Kind() == reflect.Pointer || !omitted {
				out += "?"
			}
		}
		out += ownership(definition.Properties[tag[0]])
	}
	return out
}

func typeOf(t reflect.Type) string {
	switch t {
	case reflect.TypeOf(metav1.Time{}):
		return "t"
	case reflect.TypeOf(metav1.MicroTime{}):
		return "m"
	case reflect.TypeOf(resource.Quantity{}):
		return "q"
	case reflect.TypeOf(intstr.IntOrString{}):
		return "x"
	case reflect.TypeOf(runtime.RawExtension{}), reflect.TypeOf(metav1.FieldsV1{}), reflect.TypeOf(apiextensionsv1.JSON{}):
		return "*"
	case reflect.TypeOf(apiextensionsv1.JSONSchemaPropsOrBool{}):
		return "B"
	case reflect.TypeOf(apiextensionsv1.JSONSchemaPropsOrArray{}):
		return "A"
	case reflect.TypeOf(apiextensionsv1.JSONSchemaPropsOrStringArray{}):
		return "S"
	case reflect.TypeOf(authenticationv1.ExtraValue{}), reflect.TypeOf(authorizationv1.ExtraValue{}):
		return "e"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "b"
	case reflect.Int32, reflect.Uint16:
		return "i"
	case reflect.Int64, reflect.Int:
		return "l"
	case reflect.Float64:
		return "d"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "y"
		}
		return "[]" + typeOf(t.Elem())
	case reflect.Map:
		return "{}" + typeOf(t.Elem())
	case reflect.Struct:
		return nameOf(t)
	}
	fmt.Fprintln(os.Stderr, "no spelling for", t)
	os.Exit(1)
	return ""
}

func main() {
	roots := []string{}
	apis := []string{}
	for api := range kinds {
		apis = append(apis, api)
	}
	sort.Strings(apis)
	for _, api := range apis {
		for _, object := range kinds[api] {
			t := reflect.TypeOf(object)
			roots = append(roots, fmt.Sprintf("=%s/%s %s", api, t.Name(), nameOf(t)))
		}
	}
	all := []string{}
	for _, text := range lines {
		all = append(all, text)
	}
	sort.Strings(all)
	fmt.Println("// Made by tools/api_fields from k8s.io/api v0.35.4 (Apache-2.0); do not edit.")
	for _, line := range append(roots, all...) {
		fmt.Printf("%q \"\\n\"\n", line)
	}
}
