"""Verifies who calls and whether the route allows it."""
