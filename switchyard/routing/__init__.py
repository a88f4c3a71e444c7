"""DECIDES: pure functions over settings, health, request and time."""
