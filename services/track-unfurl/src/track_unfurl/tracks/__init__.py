"""Catalogue entries: finding out what they are, remembering it, telling others."""
