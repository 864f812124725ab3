"""What people want moderators to look at."""
