"""What a request for an upstream of the client's own protocol still needs, in rows: one for each quirk of a server."""
