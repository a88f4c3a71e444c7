"""A copy of Switchyard that a test may change while a daemon runs from it."""

import shutil
from pathlib import Path

from tests.bed.daemon import ROOT

PARTS = ("app.py", "pyproject.toml", "requirements.txt", "switchyard", "static")
RENAMED = ("steady_seconds", "read_or_none")
"""names of modules that the start imports; what is imported later uses them"""


def copy_checkout(folder: Path) -> Path:
    """The copy, in a new folder of this one; its demo is not compiled."""
    copy = folder / "checkout"
    copy.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=_compiled_demo)
        else:
            shutil.copy2(ROOT / name, copy / name)
    return copy


def _compiled_demo(folder: str, names: list[str]) -> set[str]:
    return {"__pycache__"} if Path(folder).name == "demo" else set()


def imports_are_complete(checkout: Path) -> bool:
    """True once a daemon has imported, and so compiled, what it imports last of what requests need."""
    demo = checkout / "switchyard" / "demo"
    compiled = {path.name.partition(".")[0] for path in (demo / "__pycache__").glob("*.pyc")}
    return compiled == {path.stem for path in demo.glob("*.py")}


def delete(checkout: Path) -> None:
    shutil.rmtree(checkout / "switchyard")
    shutil.rmtree(checkout / "static")


def update(checkout: Path) -> None:
    """To a version in which functions have other names, and a page another title."""
    for path in (checkout / "switchyard").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for name in RENAMED:
            text = text.replace(name, f"{name}_of_the_next_version")
        path.write_text(text, encoding="utf-8")
    page = checkout / "static" / "index.html"
    text = page.read_text(encoding="utf-8").replace("<title>", "<title>Next ")
    page.write_text(text, encoding="utf-8")
