"""Accounts without a person, and the keys they sign in with."""
