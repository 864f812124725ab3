"""The way to the socket: where it is, and a ticket that opens it once."""
