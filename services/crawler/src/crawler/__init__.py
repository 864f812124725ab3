"""Fetches pages politely and safely on behalf of other services.

Owns the page cache, what hosts say in robots.txt and the record of every job. It never decides
what a page means: it reports what came, and which claim codes stand where.
"""
