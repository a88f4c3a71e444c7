"""Find problems that keep clients, daemon and upstreams from working together."""
