"""Who may use the console: people with a session by token or OpenID Connect, and machines with a token alone."""
