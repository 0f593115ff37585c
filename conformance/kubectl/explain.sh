# Sourced by run.sh: what the schemas are for: explain, and validation before anything is stored.
check explain-kind '^KIND: +Pod' k explain pod
check explain-field '^FIELD: dnsConfig <PodDNSConfig>' k explain pod.spec.dnsConfig
check explain-words 'Settings for the resolver of the pod' k explain pod.spec.dnsConfig
check explain-members 'nameservers	*<\[\]string>' k explain pod.spec.dnsConfig
check explain-required 'containers	*<\[\]Container> -required-' k explain pod.spec
check explain-map 'matchLabels	*<map\[string\]string>' k explain deployment.spec.selector
check explain-recursive 'ipBlock	*<IPBlock>' k explain networkpolicy.spec.ingress --recursive
check explain-group 'GROUP: +discovery.k8s.io' k explain endpointslice.endpoints.conditions
refuse explain-unknown 'field "nothing" does not exist' k explain pod.spec.nothing
cat > "$work/podtypo.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: typo}
spec: {containers: [{name: c, image: busybox, comand: [sleep]}], dnsPolcy: None}
YAML
refuse strict-apply 'unknown field "spec.containers\[0\].comand", unknown field "spec.dnsPolcy"' k apply -f "$work/podtypo.yaml"
refuse strict-create 'strict decoding error' k create --validate=strict -f "$work/podtypo.yaml"
check strict-warn 'Warning: unknown field "spec.containers\[0\].comand"' k create --validate=warn --dry-run=server -f "$work/podtypo.yaml"
check strict-ignore 'pod/typo created' k create --validate=ignore --dry-run=server -f "$work/podtypo.yaml"
