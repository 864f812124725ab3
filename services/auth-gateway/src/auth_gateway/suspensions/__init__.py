"""Keeping an account out for a while, or for good, and letting it in again."""
