"""Measure Switchyard side by side with other programs, and write RESULTS.md.

    python bench/run.py              the table of goals, in less than ten minutes
    python bench/run.py --quick      the same in less than one minute, with more noise
    python bench/run.py --growth     how cost grows with bodies, streams, upstreams, rules, journal and events
    python bench/run.py --fairness   how large requests and fast streams delay others
    python bench/run.py --views      what the dashboard's views cost with 2,000,000 journal lines and 500 upstreams
    python bench/run.py --life       start, idling, and memory over many requests
    python bench/run.py --all        all of these, one after another

nginx is measured if it is installed. A peer is a running program that forwards to the port given by
--upstream-port: --peer 'NAME=URL[;key=..][;model=..]'. Goals that name a peer are compared with the one named
"claude-code-router", "claude-code-router, converting" or "litellm".
"""

import argparse
import os
import sys

import fairness
import growth
import life
import processes
import results
import views
from loops import run
from rounds import DIRECT, FULL, QUICK, Rounds
from stage import Stage, named_peer, settings
from traffic import Target, peer


async def side_by_side(stage: Stage, options: argparse.Namespace) -> str:
    taken_on = results.machine()
    upstream = await stage.upstream(options.upstream_port)
    daemon = await stage.switchyard(settings(upstream))
    nginx = await stage.nginx(upstream)
    peers = [named_peer(one) for one in options.peer]
    targets = [
        Target(DIRECT, f"http://127.0.0.1:{upstream.port}"),
        *([nginx] if nginx else []),
        await stage.floor(upstream),
        daemon.target(),
        daemon.converting(),
        *peers,
    ]
    if stage.is_pinned:
        for one in peers:
            processes.pin(processes.tree(one.root) if one.root else [], 0)
    rounds = Rounds(stage, upstream, targets, QUICK if options.quick else FULL)
    await rounds.run()
    given = " --quick" if options.quick else ""
    return results.side_by_side(rounds, taken_on, given)


PARTS = {
    "Side by side": side_by_side,
    "Growth": growth.measured,
    "Fairness": fairness.measured,
    "Views": views.measured,
    "Life": life.measured,
}


def main() -> None:
    options = _options()
    chosen = [name for name in PARTS if getattr(options, name.lower(), False) or options.all]
    print(f"load now: {', '.join(f'{load:.1f}' for load in os.getloadavg())}", flush=True)
    for name in chosen or ["Side by side"]:
        with Stage(options.pinned) as stage:
            text = run(PARTS[name](stage, options))
        results.save(name, text)
        print(f"\n## {name}\n\n{text}\n", flush=True)
    print(f"written to {results.RESULTS}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    for name in ("growth", "fairness", "views", "life", "all"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--peer", action="append", default=[], type=peer, metavar="NAME=URL")
    parser.add_argument(
        "--upstream-port", type=int, default=0, help="of the fake upstream; default: a free one"
    )
    parser.add_argument("--no-pin", dest="pinned", action="store_false")
    return parser.parse_args()


if __name__ == "__main__":
    if sys.platform != "linux":
        raise SystemExit("The measurements read /proc and need Linux.")
    main()
