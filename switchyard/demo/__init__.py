"""ANSWERS: the embedded demo model."""
