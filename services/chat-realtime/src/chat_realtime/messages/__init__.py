"""What was said, edited, taken back and reacted to."""
