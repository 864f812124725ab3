"""Fetches pages politely and safely on behalf of other services."""
