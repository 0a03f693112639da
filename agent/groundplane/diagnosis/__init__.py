"""Facts read from a node, and the packets that test its rules: shared by the doctor and by the
proxy modes, which know the traffic they require."""
