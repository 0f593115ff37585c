#include "apiserver/custom/standard_definitions.h"

#include "k8s/objects.h"

namespace carrick::apiserver {
namespace {

// policy.networking.k8s.io/v1alpha2 as network-policy-api v0.2.0 (channel experimental) defines it; the words are ours.
constexpr std::string_view kClusterNetworkPolicy = R"yaml(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: clusternetworkpolicies.policy.networking.k8s.io
  annotations:
    api-approved.kubernetes.io: https://github.com/kubernetes-sigs/network-policy-api/pull/347
    policy.networking.k8s.io/bundle-version: v0.2.0
    policy.networking.k8s.io/channel: experimental
spec:
  group: policy.networking.k8s.io
  scope: Cluster
  names: {kind: ClusterNetworkPolicy, listKind: ClusterNetworkPolicyList, plural: clusternetworkpolicies,
          singular: clusternetworkpolicy, shortNames: [cnp]}
  versions:
  - name: v1alpha2
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Tier, type: string, jsonPath: .spec.tier}
    - {name: Priority, type: string, jsonPath: .spec.priority}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        description: What may be sent between pods, and out of the cluster, said for the whole cluster.
        required: [metadata, spec]
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          metadata: {type: object}
          spec:
            type: object
            description: The behaviour that is wanted.
            required: [priority, subject, tier]
            properties:
              tier:
                type: string
                description: >-
                  Admin is asked before every NetworkPolicy and cannot be overridden by one; Baseline is asked for pods
                  that no NetworkPolicy selects.
                enum: [Admin, Baseline]
              priority:
                type: integer
                format: int32
                description: Within the tier the policy with the lower number is asked first.
                minimum: 0
                maximum: 1000
              subject:
                type: object
                description: The pods that the policy is about. Exactly one field. Pods in the node's network are never meant.
                minProperties: 1
                maxProperties: 1
                properties:
                  namespaces: &selector
                    type: object
                    description: A label selector; an empty one selects everything.
                    x-kubernetes-map-type: atomic
                    properties:
                      matchLabels: {type: object, description: Labels that must all be there., additionalProperties: {type: string}}
                      matchExpressions:
                        type: array
                        description: Requirements that must all hold.
                        x-kubernetes-list-type: atomic
                        items:
                          type: object
                          required: [key, operator]
                          properties:
                            key: {type: string, description: The label that is looked at.}
                            operator: {type: string, description: "In, NotIn, Exists or DoesNotExist."}
                            values:
                              type: array
                              description: What In and NotIn compare with.
                              x-kubernetes-list-type: atomic
                              items: {type: string}
                  pods: &pods
                    type: object
                    description: Pods by their labels, in namespaces by theirs.
                    required: [podSelector]
                    properties: {namespaceSelector: *selector, podSelector: *selector}
              ingress:
                type: array
                description: Rules for what reaches the subjects, asked in order. The first one that matches decides.
                maxItems: 25
                items:
                  type: object
                  required: [action, from]
                  properties:
                    name: &name {type: string, maxLength: 100, description: A name for people to read.}
                    action: &action
                      type: string
                      description: >-
                        Accept and Deny are final; Pass leaves the rest of this tier out.
                      enum: [Accept, Deny, Pass]
                    from:
                      type: array
                      description: Who sends.
                      minItems: 1
                      maxItems: 25
                      items:
                        type: object
                        minProperties: 1
                        maxProperties: 1
                        properties: {namespaces: *selector, pods: *pods}
                    protocols: &protocols
                      type: array
                      description: Protocols and destination ports; without them the rule is about all traffic.
                      minItems: 1
                      maxItems: 25
                      items:
                        type: object
                        description: Exactly one field.
                        minProperties: 1
                        maxProperties: 1
                        properties:
                          tcp: &transport
                            type: object
                            minProperties: 1
                            properties:
                              destinationPort:
                                type: object
                                description: A number, or a range of numbers.
                                minProperties: 1
                                maxProperties: 1
                                properties:
                                  number: &number {type: integer, format: int32, minimum: 1, maximum: 65535}
                                  range:
                                    type: object
                                    required: [start, end]
                                    properties: {start: *number, end: *number}
                                    x-kubernetes-validations:
                                    - {rule: self.start < self.end, message: Start port must be less than End port}
                          udp: *transport
                          sctp: *transport
                          destinationNamedPort:
                            type: string
                            description: The number that the destination pod's containers give this name.
              egress:
                type: array
                description: Rules for what the subjects send, asked in order. The first one that matches decides.
                maxItems: 25
                items:
                  type: object
                  required: [action, to]
                  x-kubernetes-validations:
                  - rule: >-
                      !(self.to.exists(peer, has(peer.networks) || has(peer.nodes) || has(peer.domainNames)) &&
                      has(self.protocols) && self.protocols.exists(protocol, has(protocol.destinationNamedPort)))
                    message: >-
                      networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts for
                      networks/nodes/domainNames
                  properties:
                    name: *name
                    action: *action
                    to:
                      type: array
                      description: Who receives.
                      minItems: 1
                      maxItems: 25
                      items:
                        type: object
                        minProperties: 1
                        maxProperties: 1
                        properties:
                          namespaces: *selector
                          pods: *pods
                          nodes: *selector
                          networks:
                            type: array
                            description: Blocks of addresses. Pods whose address is in one are meant too.
                            x-kubernetes-list-type: set
                            minItems: 1
                            maxItems: 25
                            items:
                              type: string
                              maxLength: 43
                              x-kubernetes-validations: [{rule: isCIDR(self), message: Invalid CIDR format provided}]
                          domainNames:
                            type: array
                            description: Carrick does not know these yet; an Accept rule with one matches nothing.
                            x-kubernetes-list-type: set
                            minItems: 1
                            maxItems: 25
                            items:
                              type: string
                              pattern: ^(\*\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$
                    protocols: *protocols
          status:
            type: object
            description: What became of it.
            required: [conditions]
            properties:
              conditions:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [type]
                items:
                  type: object
                  required: [lastTransitionTime, message, reason, status, type]
                  properties:
                    lastTransitionTime: {type: string, format: date-time}
                    message: {type: string, maxLength: 32768}
                    observedGeneration: {type: integer, format: int64, minimum: 0}
                    reason: {type: string, minLength: 1, maxLength: 1024, pattern: "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"}
                    status: {type: string, enum: ["True", "False", Unknown]}
                    type: {type: string, maxLength: 316}
)yaml";

}  // namespace

Result<std::vector<json::object>> standard_definitions() {
  std::vector<json::object> out;
  for (auto& object : TRY(k8s::parse_manifest(kClusterNetworkPolicy, "ClusterNetworkPolicy")))
    out.push_back(std::move(object.document));
  return out;
}

}  // namespace carrick::apiserver
