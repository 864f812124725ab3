"""Who is listening now: the socket, its protocol, and the fan-out to local members."""
