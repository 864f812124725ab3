"""Invented music sites and artist pages for development and tests."""
