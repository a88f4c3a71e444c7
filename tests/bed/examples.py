"""How many examples a reference model is tried with: `FUZZ_EXAMPLES=20000 pytest tests -k model` runs long."""

import os

from hypothesis import settings

IS_LONG = "FUZZ_EXAMPLES" in os.environ
modelled = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    deadline=None,
    database=None,
    derandomize=not IS_LONG,
)
"""for a test that compares the code with a small model, written from the documentation"""
