"""RECEIVES: the doors for clients and for the dashboard."""
