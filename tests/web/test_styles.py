"""The styles are cut by the parts of the pages, and each file is loaded once."""

import re
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "static"
IMPORT = re.compile(r'@import url\("(css/[\w-]+\.css)"\);')
LINK = re.compile(r'<link rel="stylesheet" href="/(css/[\w-]+\.css)"')
MAX_LINES = 400


def test_each_file_of_styles_is_loaded_once_and_small() -> None:
    entry = (STATIC / "style.css").read_text(encoding="utf-8")
    assert re.sub(r"/\*.*?\*/", "", IMPORT.sub("", entry), flags=re.S).strip() == ""
    imported = IMPORT.findall(entry)
    pages = [page.read_text(encoding="utf-8") for page in STATIC.glob("*.html")]
    linked = {name for page in pages for name in LINK.findall(page)}
    found = {f"css/{path.name}" for path in (STATIC / "css").glob("*.css")}
    assert sorted([*imported, *linked]) == sorted(found)
    assert imported[-1] == "css/narrow.css"
    long = [name for name in found if len((STATIC / name).read_text().splitlines()) > MAX_LINES]
    assert long == []
