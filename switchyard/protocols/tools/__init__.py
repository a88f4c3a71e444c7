"""Tools: their names, schemas and calls, and the choice among them."""
