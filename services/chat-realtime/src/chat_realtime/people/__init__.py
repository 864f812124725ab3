"""Authors as others see them: a projection of what user-artist publishes."""
