"""A replacement for the package `keyring` in test daemons: a keychain in a JSON file, or one that refuses."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

FILE, BROKEN = "FAKE_KEYCHAIN", "FAKE_KEYCHAIN_BROKEN"
"""the environment: the path of the keys; "absent" for no keychain, "locked" for one that raises, "asking" for one
that gives no key until a file `unlocked` exists beside its own"""


@dataclass(frozen=True)
class Keychain:
    priority: float


def get_keyring() -> Keychain:
    return Keychain(0 if os.environ.get(BROKEN) == "absent" else 5)


def get_password(service: str, name: str) -> str | None:
    while os.environ.get(BROKEN) == "asking" and not Path(os.environ[FILE]).with_name("unlocked").exists():
        time.sleep(0.02)
    return _keys().get(f"{service} {name}")


def set_password(service: str, name: str, key: str) -> None:
    if os.environ.get(BROKEN) == "locked":
        raise RuntimeError(f"cannot store {key}")
    _write(_keys() | {f"{service} {name}": key})


def delete_password(service: str, name: str) -> None:
    keys = _keys()
    del keys[f"{service} {name}"]
    _write(keys)


def _keys() -> dict[str, str]:
    path = Path(os.environ[FILE])
    return json.loads(path.read_text()) if path.exists() else {}


def _write(keys: dict[str, str]) -> None:
    Path(os.environ[FILE]).write_text(json.dumps(keys))
