// Writes src/k8s/testdata/protobuf.json: random objects of every kind, as k8s.io/api writes them in JSON and in protobuf.
//
//	cd tools/api_fields && go run ./protobuf_cases > ../../src/k8s/testdata/protobuf.json
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
)

var r = rand.New(rand.NewSource(11))

func word() string { return []string{"a", "web", "x/y", "é", ""}[r.Intn(5)] }

// Fills a value; depth bounds schemas, which contain schemas.
func fill(v reflect.Value, depth int) {
	switch p := v.Addr().Interface().(type) {
	case *metav1.Time:
		p.Time = time.Unix(r.Int63n(4e9)-1e9, 0).UTC()
		return
	case *metav1.MicroTime:
		p.Time = time.Unix(r.Int63n(4e9), r.Int63n(1e6)*1000).UTC()
		return
	case *resource.Quantity:
		*p = resource.MustParse([]string{"0", "100m", "1Gi", "3", "1500M"}[r.Intn(5)])
		_ = p.String()
		return
	case *intstr.IntOrString:
		*p = []intstr.IntOrString{intstr.FromInt32(0), intstr.FromInt32(8080), intstr.FromString("http"), intstr.FromString("25%")}[r.Intn(4)]
		return
	case *runtime.RawExtension:
		p.Raw = []byte(`{"a":[1,"b",null],"c":{"d":true}}`)
		return
	case *metav1.FieldsV1:
		p.Raw = []byte(`{"f:metadata":{"f:labels":{"f:app":{}}}}`)
		return
	case *apiextensionsv1.JSON:
		p.Raw = []byte([]string{`1`, `"x"`, `{"a":[]}`, `false`}[r.Intn(4)])
		return
	case *apiextensionsv1.JSONSchemaPropsOrBool:
		p.Allows = r.Intn(2) == 0
		if r.Intn(2) == 0 {
			p.Allows, p.Schema = true, &apiextensionsv1.JSONSchemaProps{Type: "string"}
		}
		return
	case *apiextensionsv1.JSONSchemaPropsOrArray:
		p.Schema = &apiextensionsv1.JSONSchemaProps{Type: "integer"}
		return
	case *apiextensionsv1.JSONSchemaPropsOrStringArray:
		p.Property = []string{"a", "b"}
		if r.Intn(2) == 0 {
			p.Property, p.Schema = nil, &apiextensionsv1.JSONSchemaProps{Type: "object"}
		}
		return
	case *metav1.TypeMeta:
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if r.Intn(3) > 0 && depth > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth-1)
		}
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			if v.Type().Field(i).IsExported() && (r.Intn(2) == 0 || v.Type().Field(i).Anonymous) {
				fill(v.Field(i), depth)
			}
		}
	case reflect.Slice:
		if depth <= 0 {
			return
		}
		n := 1 + r.Intn(2)
		s := reflect.MakeSlice(v.Type(), n, n)
		for i := 0; i < n; i++ {
			fill(s.Index(i), depth-1)
		}
		v.Set(s)
	case reflect.Map:
		if depth <= 0 {
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		for _, k := range []string{"k1", "k.2/x"}[:1+r.Intn(2)] {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(e, depth-1)
			v.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), e)
		}
	case reflect.String:
		v.SetString(word())
	case reflect.Bool:
		v.SetBool(r.Intn(2) == 0)
	case reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt([]int64{0, 1, -1, 30000, 2147483647}[r.Intn(5)])
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(uint64(r.Intn(256)))
	case reflect.Float64:
		v.SetFloat([]float64{0, 0.5, -2}[r.Intn(3)])
	}
}

func main() {
	fields, err := os.ReadFile("../../src/k8s/api_fields.inc")
	if err != nil {
		panic(err)
	}
	if err := apiextensionsv1.AddToScheme(scheme.Scheme); err != nil {
		panic(err)
	}
	serializer := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	fmt.Println("[")
	comma := ""
	for _, line := range strings.Split(string(fields), "\n") {
		if !strings.HasPrefix(line, "\"=") || strings.Contains(line, "ListMeta") {
			continue
		}
		path := strings.Split(strings.TrimPrefix(strings.Fields(line)[0], "\"="), "/")
		gvk := schema.GroupVersionKind{Version: path[len(path)-2], Kind: path[len(path)-1]}
		if len(path) == 3 {
			gvk.Group = path[0]
		}
		times := 2
		if gvk.Kind == "Pod" || gvk.Kind == "Service" {
			times = 8
		}
		for i := 0; i < times; i++ {
			object, err := scheme.Scheme.New(gvk)
			if err != nil {
				panic(err)
			}
			fill(reflect.ValueOf(object).Elem(), 3+r.Intn(3))
			object.GetObjectKind().SetGroupVersionKind(gvk)
			text, err := json.Marshal(object)
			if err != nil {
				panic(err)
			}
			var bytes strings.Builder
			if err := serializer.Encode(object, &bytes); err != nil {
				panic(err)
			}
			fmt.Printf("%s{\"json\":%s,\n\"protobuf\":%q}", comma, text, base64.StdEncoding.EncodeToString([]byte(bytes.String())))
			comma = ",\n"
		}
	}
	fmt.Println("\n]")
}
