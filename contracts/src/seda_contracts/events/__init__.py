"""One file per owner of the events in it."""
