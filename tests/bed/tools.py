"""Programs that are installed with the packages of the checks."""

import os
import shutil
import sys
from pathlib import Path


def real_uv() -> str:
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found is not None, "uv is among the packages of requirements-dev.txt"
    return found
