"""One description of the whole API, and a page to read it. Nothing comes from another host."""
