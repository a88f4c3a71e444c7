"""How many examples a reference model is tried with: `FUZZ_EXAMPLES=20000 pytest tests/*/test_*_model.py` runs long."""

import os

from hypothesis import settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
modelled = settings(max_examples=EXAMPLES)
"""for a test that compares the code with a small model, written from the documentation"""
modelled_in_part = settings(modelled, max_examples=max(EXAMPLES // 4, 1))
"""likewise, where an example takes long or the test runs for each pair of protocols"""
