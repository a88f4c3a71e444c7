"""CARRIES: walks the route, speaks to upstreams, delivers the answer."""
