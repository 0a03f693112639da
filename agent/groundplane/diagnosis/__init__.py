"""What is read of a node, and the packets that its rules are tried with: shared by the doctor and by
proxy modes, which know what has to pass for them."""
