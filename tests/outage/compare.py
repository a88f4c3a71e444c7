"""Print which turns survive an outage: each client pointed directly at the upstream, and through Switchyard.

`python -m tests.outage.compare [--seconds 8] [--retries 0] [--clients claude codex ...]`; one upstream each.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bed.outage import OUTAGES
from tests.outage.cases import (
    REAL_CLIENTS,
    SDKS,
    SHORT,
    Case,
    Client,
    Result,
    cases_of,
    run_directly,
    run_through_switchyard,
)

CLIENTS: dict[str, Client] = {client.name: client for client in (*REAL_CLIENTS, *SDKS)}
AT_A_TIME = {False: 24, True: 3}
"""by whether the clients are real, which use much CPU"""


def main() -> None:
    options = _parse()
    clients = [CLIENTS[name] for name in options.clients]
    direct: dict[str, Result] = {}
    through: dict[str, Result] = {}
    for is_real, at_a_time in AT_A_TIME.items():
        cases = cases_of([client for client in clients if client.is_real is is_real], upstreams=(1,))
        cases = [replace(case, seconds=options.seconds) for case in cases]
        if cases:
            with tempfile.TemporaryDirectory() as folder:
                direct |= run_directly(cases, Path(folder, "direct"), at_a_time, options.retries)
                through |= run_through_switchyard(cases, Path(folder, "through"), at_a_time)
    print(f"| {options.seconds:g} s of | " + " | ".join(client.name for client in clients) + " |")
    print("|---" * (len(clients) + 1) + "|")
    for fault in OUTAGES:
        cells = [_cell(direct, through, client, fault, options.seconds) for client in clients]
        print(f"| {fault} | " + " | ".join(cells) + " |")
    print(f"\nSurvived: directly {_survived(direct)}, through Switchyard {_survived(through)}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SHORT, help="how long the outage lasts")
    parser.add_argument(
        "--retries", type=int, default=0, help="retries that an SDK may make when asked directly"
    )
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS))
    return parser.parse_args()


def _cell(
    direct: dict[str, Result], through: dict[str, Result], client: Client, fault: str, seconds: float
) -> str:
    name = Case(client, fault, 1, seconds).name
    return f"{_reported(direct.get(name))} / {_reported(through.get(name))}"


def _reported(result: Result | None) -> str:
    if result is None:
        return "-"
    asked = sum(map(len, result.asked))
    return f"{'yes' if result.survived else '**no**'} ({asked}, {result.seconds:.0f} s)"


def _survived(results: dict[str, Result]) -> str:
    found: Sequence[Result] = list(results.values())
    return f"{sum(result.survived for result in found)} of {len(found)}"


if __name__ == "__main__":
    main()
