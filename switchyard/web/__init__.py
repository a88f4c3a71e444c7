"""The endpoints for clients and for the dashboard."""
