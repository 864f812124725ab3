"""The single HTTP entry: accounts, sessions, tokens, and the proxy to the other services."""
