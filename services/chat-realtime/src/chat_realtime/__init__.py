"""Rooms, messages and the live socket that shows them."""
