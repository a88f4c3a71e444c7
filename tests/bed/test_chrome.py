"""A browser is found under each of its names."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.bed.chrome import find_chrome

MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
WINDOWS = str(Path("/Programs", "Google", "Chrome", "Application", "chrome.exe"))


@pytest.mark.parametrize(
    ("there", "environment", "found"),
    [
        ({}, {}, None),
        ({"chromium": "/usr/bin/chromium"}, {}, "/usr/bin/chromium"),
        ({"chromium-browser": "/snap/bin/chromium-browser"}, {}, "/snap/bin/chromium-browser"),
        ({"google-chrome": "/usr/bin/google-chrome"}, {}, "/usr/bin/google-chrome"),
        ({"microsoft-edge-stable": "/usr/bin/edge"}, {}, "/usr/bin/edge"),
        ({"chromium": "/a", "google-chrome": "/b"}, {}, "/a"),
        ({"chromium": "/a"}, {"SWITCHYARD_CHROME": "/mine"}, "/mine"),
        ({MACOS: MACOS}, {}, MACOS),
        ({WINDOWS: WINDOWS}, {"ProgramFiles": "/Programs"}, WINDOWS),
        ({WINDOWS: WINDOWS}, {"ProgramFiles": "/Other"}, None),
    ],
)
def test_a_browser_is_found(
    there: Mapping[str, str], environment: Mapping[str, str], found: str | None
) -> None:
    assert find_chrome(environment, there.get, lambda path: str(path) in there) == found
