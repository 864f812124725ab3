"""Finding what was said in a room."""
