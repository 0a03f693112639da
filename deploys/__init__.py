"""pyinfra deploys for nodes and whole sites, with the facts and operations they need."""
