"""A transport of our own for HTTP/1.1: pooled connections, one buffer out, chunks in as they come."""
