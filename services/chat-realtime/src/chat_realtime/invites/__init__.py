"""Ways into a room that somebody inside has opened."""
