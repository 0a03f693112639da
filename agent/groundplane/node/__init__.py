"""What a node has besides its dataplanes: files, workloads' namespaces, and what people collect of it."""
