"""How often one caller may ask. Counted per process for now; see the README."""
