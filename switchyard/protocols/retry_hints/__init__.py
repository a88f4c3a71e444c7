"""When an upstream can be tried again: what headers, body fields and sentences of an error say about it."""
