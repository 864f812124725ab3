"""Runs the Autobahn test suite against the socket listener of chat-realtime."""
