"""Who was muted, kicked or banned, by whom, and why: an append-only log with its effects."""
