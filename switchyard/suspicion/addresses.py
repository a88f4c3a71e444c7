"""Find addresses in words and texts, and tell which of them need no mention."""

from switchyard.protocols.late_pattern import late

ADDRESS = late(r"(?i)\b(?:https?|ftp|git\+\w+|git|ssh|wss?|dict|ldap)://[^\s\"'`<>|)\\;]+")
BARE = late(
    r"(?i)^(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?(?:[/?#].*)?$|^\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:[/?#].*)?$"
)
SCHEME = late(r"(?i)^(?:[a-z][\w.+-]*://)?(?:[^/@\s]*@)?")
LOOPBACK = late(
    r"(?i)^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?|0\.0\.0\.0|host\.docker\.internal)(?::[\w$]*)?(?:/|$)"
)
REGISTRIES = (
    "pypi.org",
    "pypi.python.org",
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "npm.pkg.github.com",
    "download.pytorch.org",
    "rubygems.org",
    "crates.io",
    "index.crates.io",
    "proxy.golang.org",
    "conda.anaconda.org",
)
"""Indexes that package managers use by default, or that their documentation names."""


def addresses_in(text: str) -> list[str]:
    return [found.rstrip(".,") for found in ADDRESS.findall(text)]


def address_of(word: str) -> str:
    """The address that a word is; "" if it is none."""
    if found := ADDRESS.search(word):
        return found[0]
    return word if BARE.match(word) or LOOPBACK.match(word) else ""


def shortened(address: str) -> str:
    """Host and path, without the scheme, credentials and the query, in which secrets may stand."""
    return SCHEME.sub("", address).partition("?")[0].partition("#")[0].rstrip("/.")


def is_hidden(address: str) -> bool:
    """True where the script makes up the address while it runs."""
    return "$" in shortened(address).partition("/")[0]


def is_loopback(address: str) -> bool:
    return LOOPBACK.match(shortened(address)) is not None


def is_registry(address: str) -> bool:
    return shortened(address).partition("/")[0].lower() in REGISTRIES
