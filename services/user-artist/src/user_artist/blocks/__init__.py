"""Whom somebody wants to hear nothing of."""
