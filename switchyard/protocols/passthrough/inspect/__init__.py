"""Inspect answers that pass through: what one record of a stream, or a whole reply, reports. No state is kept."""
