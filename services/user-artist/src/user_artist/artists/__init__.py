"""Artists: one profile per person, its links, its badge, and the search over all of them."""
