"""Routing decisions: pure functions over settings, health, request and time."""
