"""The system keychain, through the optional package `keyring`: look up a key, store one."""

import sys
from importlib import import_module
from itertools import count
from typing import Any

import msgspec

SERVICE = "switchyard"
UNUSABLE = 0
"""the priority of the package's stand-ins for a keychain that is not there, and less"""


class KeychainRefused(Exception):
    """The keychain cannot be used; the message tells the user what to do."""


class Kept(msgspec.Struct, frozen=True):
    """An entry of the keychain."""

    name: str
    is_new: bool


def is_usable() -> bool:
    """True if the package is installed and finds a keychain."""
    try:
        _keychain()
    except KeychainRefused:
        return False
    return True


def look_up(name: str) -> str:
    """The key of this name; "" if there is none. Raises KeychainRefused."""
    try:
        return str(_package().get_password(SERVICE, name) or "")
    except KeychainRefused:
        raise
    except Exception as error:  # a keychain backend may raise anything
        raise _refused(name, error) from None


def keep(wished: str, key: str) -> Kept:
    """Store the key, under the wished name or, if that holds another key, a numbered one.

    Raises KeychainRefused.
    """
    _keychain()
    for number in count(1):
        name = wished if number == 1 else f"{wished} ({number})"
        found = look_up(name)
        if found == key:
            return Kept(name, is_new=False)
        if not found:
            break
    try:
        _package().set_password(SERVICE, name, key)
    except Exception as error:  # as above
        raise _refused(name, error) from None
    if look_up(name) != key:
        raise KeychainRefused(f"the system keychain took {name}, but does not give it back")
    return Kept(name, is_new=True)


def forget(name: str) -> None:
    """Delete the key. Raises KeychainRefused."""
    try:
        _package().delete_password(SERVICE, name)
    except Exception as error:  # as above
        raise _refused(name, error) from None


def _package() -> Any:
    try:
        return import_module("keyring")
    except ImportError:
        command = f"{sys.executable} -m pip install keyring"
        raise KeychainRefused(f"the package keyring is not installed; run: {command}") from None


def _keychain() -> Any:
    """The backend that the package has chosen. Raises KeychainRefused."""
    try:
        backend = _package().get_keyring()
        usable = backend.priority > UNUSABLE
    except KeychainRefused:
        raise
    except Exception as error:  # as above
        raise KeychainRefused(f"the system keychain cannot be used: {type(error).__name__}") from None
    if not usable:
        raise KeychainRefused("this system has no keychain that the package keyring can use")
    return backend


def _refused(name: str, error: Exception) -> KeychainRefused:
    """Without the text of the error, which might hold the key."""
    return KeychainRefused(f"the system keychain refused {name}: {type(error).__name__}")
