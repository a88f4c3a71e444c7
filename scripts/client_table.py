"""Run every client over an upstream of every protocol, and write the table of docs/clients.md.

The clients are those that scripts/check.py installs, and aider, which this installs into .cache (700 MB). It takes a
few minutes; `--show` prints the table only, `--only NAME` runs one client and writes nothing.
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from switchyard.environment import python_of  # noqa: E402
from tests.bed.client_turns import (  # noqa: E402
    AIDER,
    BY_HAND,
    CLIENTS,
    WITHOUT_A_TEST,
    Measured,
    measure,
    program_of,
    title_of,
)
from tests.bed.wire import PROTOCOLS  # noqa: E402

PAGE = ROOT / "docs" / "clients.md"
BEGIN, END = "<!-- table: scripts/client_table.py -->\n", "<!-- end of table -->\n"
HEAD = "| Client | Version | Its protocol | Upstream | Set-up | Streamed turn | Tool call | Undo |\n"
UPSTREAMS = {"messages": "Messages", "chat": "Chat", "responses": "Responses"}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--show", action="store_true", help="print the table, write nothing")
    parser.add_argument("--only", choices=CLIENTS, help="run this client only, write nothing")
    options = parser.parse_args(argv)
    measured = list(_measured([options.only] if options.only else [*CLIENTS]))
    table = _table(measured)
    print(table)
    if not (options.show or options.only):
        text = PAGE.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text(before + BEGIN + table + END + rest.partition(END)[2], encoding="utf-8")
    return 0 if all(one.is_complete for one in measured) else 1


def _measured(clients: Sequence[str]) -> Iterable[Measured]:
    for client in clients:
        if client in BY_HAND and not Path(program_of(client)).exists():
            _install(*BY_HAND[client])
        for protocol in PROTOCOLS:
            print(f"{title_of(client)} over {UPSTREAMS[protocol]} ...", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                yield measure(client, protocol, Path(folder))


def _install(package: str, version: str) -> None:
    """Into an environment of its own: its packages are pinned otherwise."""
    venv.create(AIDER, with_pip=True)
    pip = [str(python_of(AIDER)), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, f"{package}=={version}"], check=True)


def _table(measured: Iterable[Measured]) -> str:
    rows = [_row(one) for one in measured]
    rows += [
        f"| {title_of(name)} | - | Chat | - | {why} | - | - | - |\n" for name, why in WITHOUT_A_TEST.items()
    ]
    return HEAD + "|---|---|---|---|---|---|---|---|\n" + "".join(rows)


def _row(one: Measured) -> str:
    cells = (
        title_of(one.client),
        one.version + (" (not in each check)" if one.client in BY_HAND else ""),
        CLIENTS[one.client].protocol,
        UPSTREAMS[one.upstream],
        *(_word(done) for done in (one.set_up, one.streamed)),
        _word(one.tool_call) + ("" if CLIENTS[one.client].tool else ", an edit by text"),
        _word(one.undone),
    )
    return f"| {' | '.join(cells)} |\n"


def _word(done: bool) -> str:
    return "yes" if done else "NO"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
