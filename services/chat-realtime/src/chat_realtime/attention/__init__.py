"""What somebody has not read yet, and where they were named."""
