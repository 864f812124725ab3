"""The keys that make the gateway the only issuer: three rings, in files, rotated by one step."""
