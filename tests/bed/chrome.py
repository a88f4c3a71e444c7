"""Find Chrome, Chromium or Edge under the names and in the folders of each system."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

VARIABLE = "SWITCHYARD_CHROME"
"""variable that names another browser"""
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
)
MACOS = ("Google Chrome", "Chromium", "Microsoft Edge")
WINDOWS = ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")
WINDOWS_FOLDERS = ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData")


def find_chrome(
    environment: Mapping[str, str] = os.environ,
    which: Callable[[str], str | None] = shutil.which,
    is_file: Callable[[Path], bool] = Path.is_file,
) -> str | None:
    """The path of the first installed browser."""
    if environment.get(VARIABLE):
        return environment[VARIABLE]
    on_the_path = (found for name in NAMES if (found := which(name)))
    elsewhere = (str(path) for path in _places(environment) if is_file(path))
    return next(on_the_path, None) or next(elsewhere, None)


def _places(environment: Mapping[str, str]) -> Iterator[Path]:
    for name in MACOS:
        yield Path(f"/Applications/{name}.app/Contents/MacOS/{name}")
    for variable in WINDOWS_FOLDERS:
        if folder := environment.get(variable):
            yield from (Path(folder, *place.split("/")) for place in WINDOWS)
