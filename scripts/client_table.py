"""Run every client over an upstream of every protocol, and write the table of docs/clients.md.

The clients are those that scripts/check.py installs. This takes a few minutes; `--show` prints the table only.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.bed.client_turns import CLIENTS, WITHOUT_A_TEST, Measured, measure, title_of  # noqa: E402
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
    options = parser.parse_args(argv)
    measured = list(_measured())
    table = _table(measured)
    print(table)
    if not options.show:
        text = PAGE.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text(before + BEGIN + table + END + rest.partition(END)[2], encoding="utf-8")
    return 0 if all(one.is_complete for one in measured) else 1


def _measured() -> Iterable[Measured]:
    for client in CLIENTS:
        for protocol in PROTOCOLS:
            print(f"{title_of(client)} over {UPSTREAMS[protocol]} ...", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                yield measure(client, protocol, Path(folder))


def _table(measured: Iterable[Measured]) -> str:
    rows = [_row(one) for one in measured]
    rows += [
        f"| {title_of(name)} | - | Chat | - | {why} | - | - | - |\n" for name, why in WITHOUT_A_TEST.items()
    ]
    return HEAD + "|---|---|---|---|---|---|---|---|\n" + "".join(rows)


def _row(one: Measured) -> str:
    cells = (
        title_of(one.client),
        one.version,
        CLIENTS[one.client].protocol,
        UPSTREAMS[one.upstream],
        *("yes" if done else "NO" for done in (one.set_up, one.streamed, one.tool_call, one.undone)),
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
