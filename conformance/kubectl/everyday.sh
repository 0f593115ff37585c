# Sourced by run.sh: `k` is the kubectl of this round. One server, from an empty cluster on; order matters.
cat > "$work/web.yaml" <<'YAML'
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {colour: blue}
YAML
cat > "$work/typo.yaml" <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: typo, namespace: shop}
spec: {podSelector: {}, ingres: []}
YAML
cat > "$work/badport.yaml" <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: bad, namespace: shop}
spec: {ports: [{port: 0}]}
YAML
cat > "$work/single.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: single, namespace: shop, labels: {app: single}}
spec: {containers: [{name: c, image: busybox}]}
YAML
printf '#!/bin/sh\nsed -i s/blue/green/ "$1"\n' > "$work/editor"
chmod +x "$work/editor"

check version 'Server Version: (v1\.|version.Info)' k version
check api-resources '^networkpolicies +netpol +networking.k8s.io/v1 +true +NetworkPolicy$' k api-resources
check api-resources-verbs 'deployments.*create,delete,deletecollection,get,list,patch,update,watch.*all' k api-resources -o wide
check api-versions '^discovery.k8s.io/v1$' k api-versions
check cluster-info 'control plane.* is running at' k cluster-info
check get-raw '^ok$' k get --raw /healthz
check nodes '^node-1 +Ready +<none> .*192.0.2.11' k get nodes -o wide
check describe-node 'Ready +True' k describe node node-1

check apply-new 'deployment.apps/web created' k apply -f "$work/web.yaml"
check apply-again 'deployment.apps/web unchanged' k apply -f "$work/web.yaml"
check rollout-status 'deployment "web" successfully rolled out' k -n shop rollout status deployment/web --timeout=20s
check wait-condition 'deployment.apps/web condition met' k -n shop wait --for=condition=Available deployment/web --timeout=20s
check wait-pods 'pod/web-.* condition met' k -n shop wait --for=condition=Ready pod -l app=web --timeout=20s
check get-pods '^web-[a-z0-9]+-[a-z0-9]+ +1/1 +Running +0 ' k -n shop get pods
check get-pods-wide '^web-.* 10\.1\.[0-9.]+ +node-[123] +<none> +<none>$' k -n shop get pods -o wide
check get-all-namespaces '^shop +web-' k get pods -A
check get-by-label '^pod/web-' k get pods -A -l 'app in (web),!missing' -o name
check get-by-field '^shop +web$' k get svc -A --field-selector metadata.name=web --no-headers -o custom-columns=NS:.metadata.namespace,NAME:.metadata.name
check get-yaml '^  name: web$' k -n shop get deployment web -o yaml
check get-json '"clusterIP": "10\.96\.' k -n shop get svc web -o json
check get-jsonpath '^30080$' k -n shop get svc web -o 'jsonpath={.spec.ports[0].nodePort}'
check get-service '^web +NodePort +10\.96\.[0-9.]+ +<none> +80:30080/TCP' k -n shop get svc
check get-deployment-wide '^web +2/2 +2 +2 +[0-9a-z]+ +web +nginx:1 +app=web$' k -n shop get deploy -o wide
check get-sorted '^web-' k -n shop get pods --sort-by=.metadata.name
check get-limit '^settings ' k -n shop get cm --chunk-size=1
check get-all 'replicaset.apps/web-' k -n shop get all
check get-policy '^closed +app=web ' k -n shop get netpol
check get-slices '^web-[a-z0-9]+ +IPv4 +80 +10\.1\.' k -n shop get endpointslices
check get-endpoints '^web +10\.1\.[0-9.]+:80,10\.1\.' k -n shop get endpoints
check watch '^web ' bash -o pipefail -c "timeout 2 k -n shop get deploy -w; true"
refuse get-missing 'NotFound.*pods "missing" not found' k -n shop get pod missing
refuse get-unknown-kind "doesn't have a resource type" k get frogs

check describe-service 'Endpoints: +10\.1\.[0-9.]+:80,10\.1\.' k -n shop describe svc web
check describe-deployment 'ScalingReplicaSet|NewReplicaSet:' k -n shop describe deploy web
check describe-pod 'Node: +node-' k -n shop describe pod -l app=web
check describe-policy 'Allowing ingress traffic:|PodSelector: +app=web' k -n shop describe netpol closed
check events 'Scheduled|SuccessfulCreate' k -n shop events
check get-events 'SuccessfulCreate' k -n shop get events --sort-by=.lastTimestamp

check label 'configmap/settings labeled' k -n shop label cm settings tier=front
check label-shown 'tier=front' k -n shop get cm settings --show-labels
refuse label-again "already has a value" k -n shop label cm settings tier=back
check annotate 'configmap/settings annotated?' k -n shop annotate cm settings note=hello
check patch-merge 'configmap/settings patched' k -n shop patch cm settings --type=merge -p '{"data":{"size":"big"}}'
check patch-json 'configmap/settings patched' k -n shop patch cm settings --type=json -p '[{"op":"replace","path":"/data/size","value":"small"}]'
check patched '^small$' k -n shop get cm settings -o 'jsonpath={.data.size}'
check patch-strategic 'deployment.apps/web patched' k -n shop patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:2"}]}}}}'
check rollout-after-patch 'successfully rolled out' k -n shop rollout status deploy/web --timeout=20s
check ports-kept '^80$' k -n shop get deploy web -o 'jsonpath={.spec.template.spec.containers[0].ports[0].containerPort}'
check set-image 'image updated' k -n shop set image deploy/web web=nginx:3
check rollout-history '^[123] ' k -n shop rollout history deploy/web
check rollout-undo 'rolled back' k -n shop rollout undo deploy/web
check undone '^nginx:2$' k -n shop get deploy web -o 'jsonpath={.spec.template.spec.containers[0].image}'
check rollout-restart 'restarted' k -n shop rollout restart deploy/web
check restarted 'successfully rolled out' k -n shop rollout status deploy/web --timeout=20s
check patch-status 'pod|deployment' k -n shop patch deploy web --subresource=status --type=merge -p '{"status":{"observedGeneration":1}}'
check edit 'configmap/settings edited' env EDITOR="$work/editor" k -n shop edit cm settings
check edited '^green$' k -n shop get cm settings -o 'jsonpath={.data.colour}'
check scale 'deployment.apps/web scaled' k -n shop scale deploy web --replicas=4
check scaled-pods '^web +4/4 ' bash -o pipefail -c "k -n shop rollout status deploy/web --timeout=20s >/dev/null && k -n shop get deploy web"
check replace 'configmap/settings replaced' bash -o pipefail -c "k -n shop get cm settings -o yaml | k replace -f -"
refuse replace-stale 'the object has been modified' bash -o pipefail -c "k -n shop get cm settings -o json | sed 's/\"resourceVersion\": \"[0-9]*\"/\"resourceVersion\": \"1\"/' | k replace -f -"
check diff 'colour: blue' bash -c "k diff -f '$work/web.yaml'; true"
check dry-run 'created \(server dry run\)' k apply --dry-run=server -f "$work/single.yaml"
refuse dry-run-left-nothing 'NotFound' k -n shop get pod single

refuse strict 'unknown field "spec.ingres"' k apply -f "$work/typo.yaml"
refuse invalid 'spec.ports\[0\].port: Invalid value: 0' k apply -f "$work/badport.yaml"
check create 'pod/single created' k create -f "$work/single.yaml"
refuse create-again 'AlreadyExists' k create -f "$work/single.yaml"
refuse taken-port 'provided port is already allocated' bash -o pipefail -c "sed 's/name: web, namespace: shop}\$/name: web2, namespace: shop}/' '$work/web.yaml' | k apply -f -"
check expose 'service/single exposed' k -n shop expose pod single --port=81
check run 'pod/runner created' k -n shop run runner --image=busybox
check auth-list 'networkpolicies' k api-resources --namespaced=true -o name
check cordon 'node/node-1 cordoned' k cordon node-1
check cordoned 'SchedulingDisabled' k get node node-1
check uncordon 'uncordoned' k uncordon node-1
check taint 'node/node-2 tainted' k taint node node-2 x=y:NoSchedule
check drain 'node/node-3 drained' k drain node-3 --ignore-daemonsets --force --timeout=20s

check delete-pod 'pod "single" deleted' k -n shop delete pod single
check delete-by-label 'pod "runner" deleted' k -n shop delete pod -l run=runner
check delete-force 'force deleted' bash -o pipefail -c "p=\$(k -n shop get pods -l app=web -o name | head -1); k -n shop delete \$p --force --grace-period=0"
check delete-file 'service "web" deleted' k delete svc -n shop web
check delete-all 'configmap "settings" deleted' k -n shop delete cm settings
check delete-orphan 'deployment.apps "web" deleted' k -n shop delete deploy web --cascade=orphan
check orphans-stay 'replicaset.apps/web-' k -n shop get rs -o name
check delete-namespace 'namespace "shop" deleted' k delete ns shop --timeout=20s
refuse namespace-gone 'NotFound' k get ns shop
check nothing-left 'No resources found' k -n shop get all
refuse no-create-in-nowhere 'namespaces "shop" not found' k create -f "$work/single.yaml"
refuse keep-default 'this namespace may not be deleted' k delete ns default
