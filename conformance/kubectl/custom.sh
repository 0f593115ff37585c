# Sourced by run.sh: kinds of one's own.
cat > "$work/boats.yaml" <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.sea.example}
spec:
  group: sea.example
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, shortNames: [bt], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.crew, statusReplicasPath: .status.crew}}
    additionalPrinterColumns:
    - {name: Crew, type: integer, jsonPath: .spec.crew}
    - {name: Harbour, type: string, jsonPath: .spec.harbour, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        description: A boat.
        properties:
          spec:
            type: object
            required: [harbour]
            properties:
              harbour: {type: string, pattern: '^[a-z]+$', description: Where it lies.}
              crew: {type: integer, minimum: 1, default: 2}
          status:
            type: object
            properties: {crew: {type: integer}}
  - name: v1alpha1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
YAML
cat > "$work/boat.yaml" <<'YAML'
apiVersion: sea.example/v1
kind: Boat
metadata: {name: ann}
spec: {harbour: kiel}
YAML
sed 's/kiel/KIEL/' "$work/boat.yaml" > "$work/boat-bad.yaml"
sed 's/harbour: kiel/harbour: kiel, wings: 2/' "$work/boat.yaml" > "$work/boat-typo.yaml"
sed 's/harbour: kiel/harbour: rome/' "$work/boat.yaml" > "$work/boat-rome.yaml"
check crd-create 'customresourcedefinition.apiextensions.k8s.io/boats.sea.example created' k apply -f "$work/boats.yaml"
check crd-established 'condition met' k wait --for=condition=Established crd/boats.sea.example --timeout=10s
check crd-again 'unchanged' k apply -f "$work/boats.yaml"
check crd-list '^boats.sea.example ' k get crd
check crd-resources '^boats +bt +sea.example/v1 +true +Boat' k api-resources --api-group=sea.example
check crd-explain 'Where it lies' k explain boat.spec.harbour
check crd-explain-version '^VERSION: +v1alpha1' k explain boat --api-version=sea.example/v1alpha1
check cr-create 'boat.sea.example/ann created' k apply -f "$work/boat.yaml"
check cr-again 'boat.sea.example/ann unchanged' k apply -f "$work/boat.yaml"
check cr-default '^2$' k get boat ann -o 'jsonpath={.spec.crew}'
check cr-columns '^NAME +CREW$' k get bt
check cr-columns-wide '^ann +2 +kiel$' k get boats -o wide
check cr-all 'boat.sea.example/ann +2' k get all
check cr-old-version '^sea.example/v1alpha1$' k get boats.v1alpha1.sea.example ann -o 'jsonpath={.apiVersion}'
refuse cr-invalid 'spec.harbour in body should match' k apply -f "$work/boat-bad.yaml"
refuse cr-unknown 'unknown field "spec.wings"' k apply -f "$work/boat-typo.yaml"
check cr-change 'boat.sea.example/ann configured' k apply -f "$work/boat-rome.yaml"
check cr-diff 'kiel' bash -c "k diff -f '$work/boat.yaml'; true"
check cr-patch 'patched' k patch boat ann --type=merge -p '{"spec":{"crew":5}}'
check cr-scale 'scaled' k scale boat ann --replicas=7
check cr-scaled '^7$' k get boat ann -o 'jsonpath={.spec.crew}'
check cr-label 'labeled' k label boat ann colour=red
check cr-selector '^boat.sea.example/ann$' k get boats -l colour=red -o name
check cr-ssa 'serverside-applied' k apply --server-side --force-conflicts -f "$work/boat.yaml"
check cr-describe '^Kind: +Boat' k describe boat ann
check cr-edit 'edited' env KUBE_EDITOR="sed -i s/kiel/oslo/" k edit boat ann
check cr-watch "^ann" bash -c "timeout 25 k get boats -w --request-timeout=8s || true"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cargo, ownerReferences: [{apiVersion: sea.example/v1, kind: Boat, name: ann, uid: %s}]}\n' "$(k get boat ann -o 'jsonpath={.metadata.uid}')" > "$work/cargo.yaml"
check cr-owns 'configmap/cargo created' k create -f "$work/cargo.yaml"
check cr-owned-stays '^cargo' k get cm cargo
check cr-delete '"ann" deleted' k delete boat ann
check cr-owned-goes 'condition met|not found|^$' k wait --for=delete cm/cargo --timeout=10s
check cr-in-namespace 'boat.sea.example/ann created' bash -c "k create ns sea >/dev/null && k -n sea apply -f '$work/boat.yaml'"
check cr-namespace-goes '"sea" deleted' k delete ns sea --timeout=20s
check crd-delete '"boats.sea.example" deleted' k delete crd boats.sea.example --timeout=20s
refuse cr-gone "the server doesn't have a resource type|could not find the requested resource" k get boats
# ClusterNetworkPolicy is there from the start.
cat > "$work/cnp.yaml" <<'YAML'
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: names}
spec:
  tier: Baseline
  priority: 7
  subject: {namespaces: {matchLabels: {nobody: here}}}
  egress: [{action: Accept, to: [{domainNames: [example.com]}]}]
YAML
check cnp-create 'clusternetworkpolicy.policy.networking.k8s.io/names created' k apply -f "$work/cnp.yaml"
check cnp-columns '^names +Baseline +7 ' k get cnp
check cnp-condition 'PartlyRefused' k get cnp names -o 'jsonpath={.status.conditions[0].reason}'
check cnp-explain 'asked for pods' k explain cnp.spec.tier
refuse cnp-invalid 'priority' k patch cnp names --type=merge -p '{"spec":{"priority":1001}}'
check cnp-delete '"names" deleted' k delete cnp names
# Definitions of others, from the Go module cache.
for crds in gateway-api@v1.6.3 network-policy-api@v0.2.0; do
  [ -d "$modules/sigs.k8s.io/$crds" ] || { echo "SKIPPED v$version $crds: not in the Go module cache"; skipped=$((skipped + 1)); continue; }
  for channel in standard experimental; do
    for file in "$modules/sigs.k8s.io/$crds/config/crd/$channel"/*networking*_*s.yaml; do
      case $file in *vap_safeupgrades*) continue ;; esac  # no definition but a ValidatingAdmissionPolicy
      check "crd-$channel-$(basename "$file" .yaml)" 'serverside-applied' k apply --server-side --force-conflicts -f "$file"
    done
  done
  check "crds-$crds-established" 'condition met' k wait --for=condition=Established crd --all --timeout=10s
done
if [ -d "$modules/sigs.k8s.io/gateway-api@v1.6.3" ]; then
  cat > "$work/gateway.yaml" <<'YAML'
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: default}
spec: {gatewayClassName: carrick, listeners: [{name: http, port: 80, protocol: HTTP}]}
YAML
  check gateway-create 'gateway.gateway.networking.k8s.io/front created' k apply -f "$work/gateway.yaml"
  check gateway-default '^Same$' k get gtw front -o 'jsonpath={.spec.listeners[0].allowedRoutes.namespaces.from}'
  check gateway-columns '^NAME +CLASS +ADDRESS +PROGRAMMED +AGE' k get gateways
  check gateway-conditions '^Accepted Programmed$' k get gtw front -o 'jsonpath={.status.conditions[*].type}'
  check gateway-explain 'listeners	*<\[\]Object> -required-' k explain gateway.spec
fi
