"""Who is at the door, and whether this route lets them in."""
