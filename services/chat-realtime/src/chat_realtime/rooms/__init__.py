"""Who may be in which room, and as what."""
