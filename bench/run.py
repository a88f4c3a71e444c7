"""Measure Switchyard side by side with other programs, and write RESULTS.md.

    python bench/peers.py            once: installs the programs to compare with
    python bench/run.py              both tables of goals, in less than ten minutes
    python bench/run.py --runs 2     the same twice, for a release
    python bench/run.py --quick      the same in four minutes, with more noise and a shorter pause
    python bench/run.py --growth     how cost grows with bodies, streams, upstreams, rules, journal and events
    python bench/run.py --fairness   how large requests and fast streams delay others
    python bench/run.py --views      what the dashboard's views cost with 2,000,000 journal lines and 500 upstreams
    python bench/run.py --life       start, idling, and memory over many requests
    python bench/run.py --all        all of these, one after another

The peers are started, and configured, by the run. Others may run already and forward to the port given by
--upstream-port: --peer 'NAME=URL[;key=..][;model=..]' measures them instead. Goals that name a peer are compared with
the one named "claude-code-router", "claude-code-router, converting" or "litellm". Version 0.1.0 of Switchyard comes
from the history of the repository: absolute figures differ from machine to machine, so the goals that were set as
figures are judged by what 0.1.0 needs in the same run.
"""

import argparse
import os
import sys
import time
from dataclasses import replace

import alone
import fairness
import growth
import life
import peers
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
    earlier = await stage.earlier(settings(upstream))
    nginx = await stage.nginx(upstream)
    given = [named_peer(one) for one in options.peer]
    others = given or await peers.started(stage, upstream)
    targets = [
        Target(DIRECT, f"http://127.0.0.1:{upstream.port}"),
        *([nginx] if nginx else []),
        daemon.target(),
        daemon.converting(),
        *([earlier.target(), earlier.converting()] if earlier else []),
        await stage.floor(upstream),
        *others,
    ]
    if stage.is_pinned:
        for one in given:
            processes.pin(processes.tree(one.root) if one.root else [], 0)
    plan = QUICK if options.quick else FULL
    seconds = max(LEAST_SECONDS, options.ends - time.monotonic())
    rounds = Rounds(stage, upstream, targets, replace(plan, limit_seconds=min(plan.limit_seconds, seconds)))
    await rounds.run()
    return results.side_by_side(rounds, taken_on, " --quick" if options.quick else "")


PARTS = {
    results.ALONE: alone.measured,
    results.SIDE_BY_SIDE: side_by_side,
    "Growth": growth.measured,
    "Fairness": fairness.measured,
    "Views": views.measured,
    "Life": life.measured,
}

RUN_SECONDS = 580.0
"""for both tables of goals"""
LEAST_SECONDS = 120.0


def main() -> None:
    options = _options()
    chosen = [name for name in PARTS if getattr(options, name.lower(), False) or options.all]
    for name in sorted(set(peers.PEERS) - set(peers.installed())):
        print(f"{name} is not installed, so it is not measured: python bench/peers.py installs it")
    print(f"load now: {', '.join(f'{load:.1f}' for load in os.getloadavg())}", flush=True)
    for number in range(1, options.runs + 1):
        options.ends = time.monotonic() + RUN_SECONDS
        for name in chosen or [results.ALONE, results.SIDE_BY_SIDE]:
            with Stage(options.pinned) as stage:
                text = run(PARTS[name](stage, options))
            results.save(name, text, number)
            print(f"\n## {name}\n\n{text}\n", flush=True)
    print(f"written to {results.RESULTS}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=1)
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
