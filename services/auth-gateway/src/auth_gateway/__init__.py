"""The single HTTP entry of seda.fm: accounts, sessions, tokens, and the way to other services.

It alone issues tokens, tickets and internal identities. It holds no profile, no room and no track:
those belong to the services behind it.
"""
