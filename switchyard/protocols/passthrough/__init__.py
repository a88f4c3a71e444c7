"""Between two sides of one protocol: bytes pass as they came, and are only inspected."""
