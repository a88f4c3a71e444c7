"""Examine what the upstreams did, against a second source. Pure: facts in, findings out."""
