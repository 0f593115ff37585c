# Sourced by run.sh: what the API promises beside the kinds (spec: dry runs, preconditions, finalizers, propagation, pieces of lists).
k create ns sem >/dev/null 2>&1
for i in 1 2 3 4 5; do k -n sem create configmap "m$i" --from-literal=n="$i" >/dev/null 2>&1; done
k -n sem label cm m1 m2 group=old >/dev/null 2>&1
maps=/api/v1/namespaces/sem/configmaps
check dry-run-create 'configmap/ghost created \(server dry run\)' k -n sem create configmap ghost --dry-run=server
refuse dry-run-left-nothing 'NotFound' k -n sem get cm ghost
check dry-run-delete 'configmap "m1" deleted.*\(server dry run\)|configmap "m1" deleted' k -n sem delete cm m1 --dry-run=server
check dry-run-kept '^m1 ' k -n sem get cm m1
check dry-run-patch '^9$' k -n sem patch cm m1 -p '{"data":{"n":"9"}}' --dry-run=server -o 'jsonpath={.data.n}'
check dry-run-patch-kept '^1$' k -n sem get cm m1 -o 'jsonpath={.data.n}'
check pieces-first '"remainingItemCount":' k get --raw "$maps?limit=2"
next=$(k get --raw "$maps?limit=2" | sed 's/.*"continue":"\([^"]*\)".*/\1/')
check pieces-next '"name":"m2"' k get --raw "$maps?limit=2&continue=$next"
refuse pieces-not-ours 'continue key is not valid' k get --raw "$maps?limit=2&continue=nonsense"
check pieces-all '^m5 ' k -n sem get cm --chunk-size=1
refuse list-exact-needs-revision 'forbidden' k get --raw "$maps?resourceVersionMatch=Exact"
refuse list-future 'Too large resource version' k get --raw "$maps?resourceVersion=99999999"
refuse list-bad-selector 'unable to parse requirement|invalid selector|found' k -n sem get cm -l 'a in (b'
refuse field-unknown 'field label not supported' k -n sem get cm --field-selector spec.nothing=1
echo '{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}' > "$work/pre.json"
refuse precondition-uid 'the UID in the precondition|Precondition failed' k delete --raw "$maps/m3" -f "$work/pre.json"
stale=$(k -n sem get cm m3 -o json | sed 's/"resourceVersion": "[0-9]*"/"resourceVersion": "1"/')
refuse stale-update 'the object has been modified' k replace -f - <<<"$stale"
check deletecollection '"kind":"ConfigMapList"' k delete --raw "$maps?labelSelector=group%3Dold"
check deletecollection-chose '^3$' bash -c "k -n sem get cm -o name | grep -c /m"
check finalizer-set 'patched' k -n sem patch cm m4 --type=merge -p '{"metadata":{"finalizers":["sea.example/hold"]}}'
check finalizer-delete 'deleted' k -n sem delete cm m4 --wait=false
check finalizer-holds '^20' k -n sem get cm m4 -o 'jsonpath={.metadata.deletionTimestamp}'
check finalizer-gone 'patched' k -n sem patch cm m4 --type=merge -p '{"metadata":{"finalizers":null}}'
refuse finalizer-freed 'NotFound' k -n sem get cm m4
k -n sem create deployment orphaned --image=nginx:1 >/dev/null 2>&1; k -n sem rollout status deploy/orphaned --timeout=20s >/dev/null 2>&1
check cascade-orphan 'deployment.apps "orphaned" deleted' k -n sem delete deploy orphaned --cascade=orphan
check cascade-orphan-left '^orphaned-' k -n sem get rs
check cascade-orphan-free '^(\[\])?$' k -n sem get rs -l app=orphaned -o 'jsonpath={.items[0].metadata.ownerReferences}'
k -n sem create deployment front --image=nginx:1 >/dev/null 2>&1; k -n sem rollout status deploy/front --timeout=20s >/dev/null 2>&1
check cascade-foreground 'deployment.apps "front" deleted' k -n sem delete deploy front --cascade=foreground --timeout=20s
check cascade-foreground-pods '^$|No resources found' k -n sem get pods -l app=front
check generate-name '^configmap/g-[a-z0-9]{5}$' k create -o name -f - <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"g-","namespace":"sem"}}'
refuse bad-name 'a lowercase RFC 1123 subdomain' k -n sem create configmap 'Bad_Name'
refuse namespace-missing 'namespaces "none" not found' k -n none create configmap a
check namespace-ends '"sem" deleted' k delete ns sem --timeout=30s
check healthz '^ok$' k get --raw /livez/ping
check metrics 'carrick_apiserver_resource_version' k get --raw /metrics
refuse not-found-path 'the server could not find the requested resource' k get --raw /nothing
