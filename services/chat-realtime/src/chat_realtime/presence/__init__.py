"""Who is in a room now. Nothing here is kept: what a process does not say again is forgotten."""
