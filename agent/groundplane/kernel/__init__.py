"""What several dataplanes need of the kernel: netlink, nf_tables, and what there is ours."""
