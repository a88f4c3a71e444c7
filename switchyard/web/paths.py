"""Show paths as their owner writes them."""

from pathlib import Path


def shown_path(path: Path) -> str:
    """The path as its owner writes it, relative to the home folder if it is inside."""
    try:
        return f"~/{path.absolute().relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(path)
