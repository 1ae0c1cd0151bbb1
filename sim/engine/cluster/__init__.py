"""Sites on the nodes of a Ray cluster: each node adds its own sites' answers."""
