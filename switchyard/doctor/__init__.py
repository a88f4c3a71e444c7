"""EXAMINES: what could keep clients, daemon and upstreams from finding each other."""
