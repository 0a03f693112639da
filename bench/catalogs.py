"""The YAML of large sites."""

from pathlib import Path

CLUSTER = """\
apiVersion: groundplane/v1
kind: Cluster
metadata: {name: bench}
spec:
  serviceCIDRs: [10.96.0.0/14]
  workloadCIDRs: [{cidr: 10.128.0.0/9, nodePrefix: 18}]
"""
NODE = """\
apiVersion: groundplane/v1
kind: Node
metadata: {{name: n{number}}}
spec: {{addresses: [192.168.0.{host}]}}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: service-{number}, namespace: ns-{space}}}
spec:
  selector: {{app: app-{number}}}
  ports:
  - {{name: http, port: 80, targetPort: http}}
"""
WORKLOAD = """\
apiVersion: groundplane/v1
kind: Workload
metadata: {{name: app-{number}-{index}, namespace: ns-{space}, labels: {{app: app-{number}}}}}
spec: {{node: n{node}, ports: [{{name: http, port: 8080}}]}}
"""
NODES, NAMESPACES = 100, 100


def write_catalog(directory: Path, services: int, endpoints: int) -> int:
    """Write the YAML of the site, a file for each namespace; return its size in bytes."""
    (directory / "cluster.yaml").write_text(CLUSTER)
    nodes = [NODE.format(number=n, host=n + 1) for n in range(NODES)]
    (directory / "nodes.yaml").write_text("---\n".join(nodes))
    for space in range(NAMESPACES):
        documents = []
        for number in range(space, services, NAMESPACES):
            documents.append(SERVICE.format(number=number, space=space))
            documents += [
                WORKLOAD.format(number=number, index=i, space=space, node=(number + i) % NODES)
                for i in range(endpoints)
            ]
        (directory / f"ns-{space}.yaml").write_text("---\n".join(documents))
    return sum(path.stat().st_size for path in directory.iterdir())
