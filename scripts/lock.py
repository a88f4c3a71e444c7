"""Lock the packages: write requirements.txt and requirements-dev.txt from pyproject.toml, for every platform.

Locked versions are kept while they satisfy pyproject.toml; `--upgrade` takes the newest ones.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = ["pip", "compile", "--universal", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
OWN_COMMAND = "python scripts/lock.py"
LOCKS = {
    "requirements.txt": [],
    "requirements-dev.txt": ["--group", "dev", "--constraints", "requirements.txt"],
}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="use the newest allowed versions")
    more = ["--upgrade"] if parser.parse_args(argv).upgrade else []
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        print("uv is needed to lock the packages: pip install uv", file=sys.stderr)
        return 1
    for name, options in LOCKS.items():
        command = [
            uv,
            *UV,
            "--quiet",
            "--custom-compile-command",
            OWN_COMMAND,
            "pyproject.toml",
            *options,
            *more,
        ]
        subprocess.run([*command, "--output-file", name], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
