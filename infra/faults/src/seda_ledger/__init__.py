"""A service that is not idempotent: it books every event of chat once, or shows that it did not."""
