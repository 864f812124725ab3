"""Turns music links into track cards and ranks what people share."""
