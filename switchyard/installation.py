"""Where this copy of Switchyard lives: its static files, its default data folder, the commands that start it."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

NAME = "switchyard"
PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent
PYTHON_NAME = "SWITCHYARD_PYTHON"
"""Variable: the name of the Python that the user typed, passed on to the process in the virtual environment."""
PYTHON = re.compile(r"(python[\d.]*)(\.exe)?", re.IGNORECASE)


def is_checkout(package: Path = PACKAGE) -> bool:
    """True in a source checkout; a wheel carries the static files inside the package."""
    return not (package / "static").is_dir()


def static_folder(package: Path = PACKAGE) -> Path:
    return (package.parent if is_checkout(package) else package) / "static"


def default_data_folder() -> Path:
    """Beside `app.py` in a checkout; otherwise the platform's user data folder."""
    return (
        CHECKOUT / "json_data" if is_checkout() else user_data_folder(sys.platform, os.environ, Path.home())
    )


def user_data_folder(platform: str, environment: Mapping[str, str], home: Path) -> Path:
    if platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local") / NAME
    if platform == "darwin":
        return home / "Library" / "Application Support" / NAME
    # XDG specification: a relative path must be ignored
    configured = environment.get("XDG_DATA_HOME", "")
    return (Path(configured) if configured.startswith("/") else home / ".local" / "share") / NAME


class InstalledFiles:
    """The files of a folder as they are now: an update may replace them while the daemon runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = _state_of(folder)
        self._have_changed = False

    def have_changed(self) -> bool:
        """True once a file was replaced, added or removed. Reads the folder."""
        self._have_changed = self._have_changed or _state_of(self._folder) != self._before
        return self._have_changed


def _state_of(folder: Path) -> int:
    """Without what Python caches, and the hidden files of file managers and editors."""
    found: set[tuple[str, int, int]] = set()
    folders = [str(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name == "__pycache__" or entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    state = entry.stat()
                    found.add((entry.path, state.st_mtime_ns, state.st_size))
    return hash(frozenset(found))


# --- commands ------------------------------------------------------------------


def service_command() -> tuple[str, ...]:
    """Starts this copy from any folder, without a PATH."""
    return (sys.executable, str(CHECKOUT / "app.py")) if is_checkout() else (sys.executable, "-m", NAME)


def is_temporary(prefix: Path | None = None) -> bool:
    """True in the cache of `uvx` or `pipx run`, which is emptied from time to time."""
    return any((parent / "CACHEDIR.TAG").exists() for parent in (prefix or Path(sys.prefix)).parents)


def own_command(arguments: str = "") -> str:
    """The command line that runs this copy with these arguments, for messages."""
    return f"{_program(Path(sys.argv[0]))} {arguments}".rstrip()


def _program(script: Path) -> str:
    if script.stem == NAME:
        return NAME if _is_on_path(script) else _quoted(script.absolute())
    if script == PACKAGE / "__main__.py":
        return f"{python_name()} -m {NAME}" if is_checkout() else f"{_quoted(Path(sys.executable))} -m {NAME}"
    return f"{python_name()} app.py" if is_checkout() else NAME


def _is_on_path(script: Path) -> bool:
    # `uvx` puts its cache on the PATH of this process, not of the user's shell
    found = None if is_temporary() else shutil.which(NAME)
    return found is not None and _bare(Path(found)) == _bare(script)


def _bare(path: Path) -> Path:
    return path.resolve().with_suffix("")  # Windows may omit .exe


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)


def python_name() -> str:
    """`python3` where the user typed that, or where there is no `python`."""
    typed = os.environ.get(PYTHON_NAME) or Path(sys.orig_argv[0]).name
    found = PYTHON.fullmatch(typed)
    names = (found[1], "python", "python3") if found else ("python", "python3")
    return next((name for name in names if shutil.which(name)), names[0])
