"""Where a key comes from: the file itself, the environment, or the system keychain."""

import os
from collections.abc import Mapping
from importlib import import_module


class KeyMissing(Exception):
    """The key that the settings name cannot be had; the message says what to do."""


def resolve_key(key: str, environment: Mapping[str, str] = os.environ) -> str:
    """The literal key. "client" and "" give "". Raises KeyMissing."""
    if key == "client":
        return ""
    if key.startswith("env:"):
        name = key.removeprefix("env:")
        if not environment.get(name):
            raise KeyMissing(
                f"environment variable {name} is not set; set it and restart, or enter the key itself"
            )
        return environment[name].strip()
    if key.startswith("keyring:"):
        return _from_keyring(key.removeprefix("keyring:"))
    return key


def _from_keyring(name: str) -> str:
    try:
        keyring = import_module("keyring")
    except ImportError:
        raise KeyMissing("the package keyring is not installed; run: pip install keyring") from None
    try:
        found = keyring.get_password("switchyard", name)
    except Exception as error:  # a keychain backend may raise anything
        raise KeyMissing(f"the system keychain refused {name}: {type(error).__name__}") from None
    if not found:
        raise KeyMissing(
            f"the system keychain has no entry {name}; add it with: keyring set switchyard {name}"
        )
    return str(found)
