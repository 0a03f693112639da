"""What a node, and a whole site, must be: pyinfra deploys, with the facts and operations they need."""
