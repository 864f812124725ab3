"""How much one person and one room may ask of a process."""
