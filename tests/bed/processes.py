"""Child processes that end with what uses them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import AnyStr


@contextmanager
def killed_at_end(process: "subprocess.Popen[AnyStr]") -> Iterator["subprocess.Popen[AnyStr]"]:
    """Kill what still runs at the end, also where the test's own limit ends it: leaving `with Popen` waits forever."""
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
