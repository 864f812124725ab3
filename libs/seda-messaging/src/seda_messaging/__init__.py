"""Outbox, inbox and durable consumers on NATS JetStream."""
