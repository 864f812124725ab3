"""What people share and like, and the ranking that follows from it."""
