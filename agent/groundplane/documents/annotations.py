"""Other programs' annotations and labels that pin or restrict: implemented, or rejected by name.

For a load balancer they set its address, its pool and its allowed clients. Ignoring one would
silently open a service or give it another address.
"""

from typing import Final

from groundplane.documents.service import ADDRESSES, POOL

# One address of each family, separated by commas; the service's first annotation of these counts.
FIXED_ADDRESSES: Final = (
    ADDRESSES,
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
    "kube-vip.io/loadbalancerIPs",
    "lbipam.cilium.io/ips",
    "io.cilium/lb-ipam-ips",
    "purelb.io/addresses",
    "loxilb.io/staticIP",
)
# The name of a pool.
POOLS: Final = (
    POOL,
    "metallb.io/address-pool",
    "metallb.universe.tf/address-pool",
    "purelb.io/service-group",
)
# Ranges separated by commas, like spec.loadBalancerSourceRanges, which takes precedence.
SOURCE_RANGES: Final = "service.beta.kubernetes.io/load-balancer-source-ranges"

# Annotations that restrict a load balancer in a way that only a cloud can implement.
UNKNOWN_RESTRICTIONS: Final = (
    "service.beta.kubernetes.io/azure-allowed-ip-ranges",
    "service.beta.kubernetes.io/azure-allowed-service-tags",
    "service.beta.kubernetes.io/aws-load-balancer-security-groups",
)
# Annotations that restrict a load balancer to an internal network, except with these values.
INTERNAL: Final = (
    "cloud.google.com/load-balancer-type",
    "networking.gke.io/load-balancer-type",
    "service.beta.kubernetes.io/aws-load-balancer-internal",
    "service.beta.kubernetes.io/aws-load-balancer-scheme",
    "service.beta.kubernetes.io/azure-load-balancer-internal",
    "service.beta.kubernetes.io/cce-load-balancer-internal-vpc",
    "service.beta.kubernetes.io/oci-load-balancer-internal",
    "service.beta.kubernetes.io/openstack-internal-load-balancer",
    "service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type",
    "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type",
)
NOT_INTERNAL: Final = ("", "false", "external", "internet-facing", "internet", "public")

# With these labels, kube-proxy leaves a service or a slice to another proxy.
OTHER_PROXY: Final = "service.kubernetes.io/service-proxy-name"
HEADLESS: Final = "service.kubernetes.io/headless"

# Annotations for settings that are a field of the service here.
INSTEAD: Final = {
    "service.kubernetes.io/topology-mode": "spec.trafficDistribution: PreferSameZone",
    "service.kubernetes.io/topology-aware-hints": "spec.trafficDistribution: PreferSameZone",
    "service.alpha.kubernetes.io/tolerate-unready-endpoints": "spec.publishNotReadyAddresses: true",
    "service.beta.kubernetes.io/external-traffic": "spec.externalTrafficPolicy: Local",
    "service.beta.kubernetes.io/healthcheck-nodeport": "spec.healthCheckNodePort",
}
