"""Who has an account, how they prove it, and which role they hold."""
