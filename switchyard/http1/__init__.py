"""An HTTP/1.1 client transport: pooled connections, one buffer per request, chunks of the answer as they arrive."""
