"""Real PostgreSQL and NATS for development and tests, token maker, clients."""
