"""Listeners: one profile per account."""
