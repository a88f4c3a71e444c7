"""Errors: what upstreams report, what it means, and how each client is given it."""
