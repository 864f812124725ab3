"""What a login leaves behind: one row per device, its refresh counter, and its end."""
