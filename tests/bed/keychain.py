"""The environment of a daemon that finds a keychain, a broken one, or none."""

import json
from pathlib import Path

PACKAGES = Path(__file__).resolve().parent / "packages"


class FakeKeychain:
    """`Daemon(..., environment=keychain.environment)`; `keys` are those of the service `switchyard`."""

    def __init__(self, folder: Path, broken: str = "") -> None:
        self._path = folder / "keychain.json"
        self.environment = {
            "PYTHONPATH": str(PACKAGES),
            "FAKE_KEYCHAIN": str(self._path),
            "FAKE_KEYCHAIN_BROKEN": broken,
        }

    @property
    def keys(self) -> dict[str, str]:
        found = json.loads(self._path.read_text()) if self._path.exists() else {}
        return {name.removeprefix("switchyard "): key for name, key in found.items()}

    def unlock(self) -> None:
        """Unlocks an "asking" keychain."""
        self._path.with_name("unlocked").touch()

    def put(self, name: str, key: str) -> None:
        self._path.write_text(
            json.dumps({f"switchyard {one}": kept for one, kept in {**self.keys, name: key}.items()})
        )
