# Sourced by run.sh: server-side apply.
cat > "$work/applied.yaml" <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: applied, labels: {app: applied}}
spec:
  replicas: 1
  selector: {matchLabels: {app: applied}}
  template:
    metadata: {labels: {app: applied}}
    spec: {containers: [{name: web, image: "nginx:1", ports: [{containerPort: 80}]}]}
YAML
sed 's/replicas: 1/replicas: 3/' "$work/applied.yaml" > "$work/applied3.yaml"
sed '/replicas/d' "$work/applied.yaml" > "$work/applied-without.yaml"
check ssa-new 'deployment.apps/applied serverside-applied' k apply --server-side -f "$work/applied.yaml"
check ssa-again 'deployment.apps/applied serverside-applied' k apply --server-side -f "$work/applied.yaml"
check ssa-manager '^kubectl Apply$' k get deploy applied --show-managed-fields -o 'jsonpath={.metadata.managedFields[0].manager} {.metadata.managedFields[0].operation}'
check ssa-other-writer 'patched' k patch deploy applied --field-manager=scaler --type=merge -p '{"spec":{"replicas":5}}'
refuse ssa-conflict 'conflict with "scaler".*: .spec.replicas' k apply --server-side -f "$work/applied3.yaml"
check ssa-force 'serverside-applied' k apply --server-side --force-conflicts -f "$work/applied3.yaml"
check ssa-forced '^3$' k get deploy applied -o 'jsonpath={.spec.replicas}'
check ssa-given-up 'serverside-applied' k apply --server-side -f "$work/applied-without.yaml"
check ssa-ports-kept '^80$' k get deploy applied -o 'jsonpath={.spec.template.spec.containers[0].ports[0].containerPort}'
check ssa-dry-run 'serverside-applied \(server dry run\)' k apply --server-side --dry-run=server -f "$work/applied3.yaml"
check ssa-diff 'replicas' bash -c "k diff --server-side -f '$work/applied3.yaml'; true"
check csa-then-ssa 'configmap/both created' bash -c "k create configmap both --from-literal=a=1 --dry-run=client -o yaml | k apply -f -"
check csa-then-ssa-same 'serverside-applied' bash -c "k create configmap both --from-literal=a=1 --dry-run=client -o yaml | k apply --server-side -f -"
check ssa-clean-up 'deleted' k delete deploy/applied cm/both
