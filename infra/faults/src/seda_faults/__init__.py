"""Break the running platform in every way, and count what was lost, doubled, invented or late."""
