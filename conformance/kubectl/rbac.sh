# Sourced by run.sh: who may do what. The administrator speaks in the name of others.
check rbac-clusterroles '^cluster-admin ' k get clusterroles
check rbac-sa 'serviceaccount/robot created' k create serviceaccount robot
check rbac-role 'role.rbac.authorization.k8s.io/reader created' k create role reader --verb=get,list,watch --resource=pods,pods/log,configmaps
check rbac-binding 'rolebinding.rbac.authorization.k8s.io/readers created' k create rolebinding readers --role=reader --user=ann --serviceaccount=default:robot
check rbac-admin '^yes$' k auth can-i '*' '*'
check rbac-user '^yes$' k auth can-i list pods --as=ann
refuse rbac-user-not '^no$' k auth can-i delete pods --as=ann
refuse rbac-other-namespace '^no$' k auth can-i list pods --as=ann -n kube-system
check rbac-service-account '^yes$' k auth can-i get pods/log --as=system:serviceaccount:default:robot
refuse rbac-nobody '^no$' k auth can-i list pods --as=bob
check rbac-list '^configmaps ' k auth can-i --list --as=ann
check rbac-works 'kube-root-ca.crt|No resources found' k get configmaps --as=ann
refuse rbac-forbidden 'Error from server \(Forbidden\): pods "x" is forbidden: User "ann" cannot delete resource "pods" in API group "" in the namespace "default"' k delete pod x --as=ann
refuse rbac-forbidden-cluster 'nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" at the cluster scope' k get nodes --as=bob
check rbac-whoami '^Username +ann' k auth whoami --as=ann
check rbac-group '^yes$' bash -c "k create clusterrolebinding crew --clusterrole=view --group=crew >/dev/null; k auth can-i list deployments -A --as=x --as-group=crew"
refuse rbac-group-secrets '^no$' k auth can-i get secrets --as=x --as-group=crew
cat > "$work/again.yaml" <<'YAML'
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: again, namespace: default}
rules: [{verbs: [get], apiGroups: [""], resources: [pods]}]
YAML
check rbac-reconcile 'reconciled' k auth reconcile -f "$work/again.yaml"
check rbac-clean-up 'deleted' k delete role/reader role/again rolebinding/readers clusterrolebinding/crew sa/robot
# A token of a service account is a user of its own.
check token-sa 'serviceaccount/speaker created' k create serviceaccount speaker
check token-binding 'created' k create clusterrolebinding speaker --clusterrole=view --serviceaccount=default:speaker
check token-create '^ey' k create token speaker --duration=15m
alone() {  # COMMAND...: with the token of the service account and nothing else
  k config view --raw -o 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d > "$work/ca.pem"
  k --kubeconfig=/dev/null --server="$(k config view -o 'jsonpath={.clusters[0].cluster.server}')" \
    --certificate-authority="$work/ca.pem" --token="$(k create token speaker)" "$@"
}
export -f alone
export work
check token-whoami 'system:serviceaccount:default:speaker' bash -c "alone auth whoami"
check token-reads 'kubernetes ' bash -c "alone get svc -n default"
refuse token-forbidden 'User "system:serviceaccount:default:speaker" cannot list resource "secrets"' bash -c "alone get secrets -n default"
refuse token-forged 'Unauthorized|You must be logged in|provide credentials' k --kubeconfig=/dev/null --server="$(k config view -o 'jsonpath={.clusters[0].cluster.server}')" --insecure-skip-tls-verify --token=ey.ey.xx get svc
check token-clean-up 'deleted' k delete sa/speaker clusterrolebinding/speaker
