"""Repairs between two sides of Anthropic Messages."""
