"""Parts of a node besides its dataplanes: files, workloads' namespaces, and the support bundle."""
