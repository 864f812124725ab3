"""Messages that a room keeps at hand."""
