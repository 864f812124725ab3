"""Profiles of listeners and artists, and the search over them."""
