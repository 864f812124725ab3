"""Proves that a claimed artist profile belongs to who claims it."""
