"""What passes to the services behind the gateway, and in which shape."""
