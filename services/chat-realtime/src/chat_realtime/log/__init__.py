"""The gapless log of a room: every durable change, numbered in the transaction that makes it."""
