"""What a pasted link means, decided without any request."""
