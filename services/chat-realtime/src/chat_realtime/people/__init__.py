"""Authors as others see them: a projection of what user-artist and auth-gateway publish."""
