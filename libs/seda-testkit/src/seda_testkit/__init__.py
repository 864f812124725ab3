"""Real PostgreSQL and NATS without Docker, and what tests need to talk to a service.

For development and tests only: nothing a service runs in production may import this package.
"""
