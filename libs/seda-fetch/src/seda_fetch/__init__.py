"""Outbound HTTP that cannot be turned against our own network."""
