"""Run simulations: `python -m tests.simulation --seeds 100000`, or `--seed N` to replay one with its trace."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

REAL_SECONDS = time.perf_counter


def main() -> int:
    options = _options()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # sets of texts have the same order in each process
        command = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        return subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "0"}, check=False).returncode
    from tests.simulation import clocks, disk, mutations

    if options.all_mutations:
        return _find_all(mutations)
    if options.mutation:
        mutations.install(options.mutation)
    clocks.install()
    disk.DISK.install()
    from tests.simulation import run

    run.prepare()
    began, failed, count = REAL_SECONDS(), 0, 0
    for seed in _seeds(options, began):
        ran = run.run_seed(seed)
        count += 1
        if options.trace:
            print(*ran.trace, sep="\n")
        if options.digests:
            print(seed, ran.digest())
        if ran.violations:
            failed += 1
            print(f"seed {seed}:", *ran.violations, sep="\n  ", flush=True)
            if failed >= options.most_failures:
                break
    print(f"{count} seeds in {REAL_SECONDS() - began:.1f} s, {failed} failed")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seconds", type=float, help="run for so long instead")
    parser.add_argument("--seed", type=int, help="replay this one and print its trace")
    parser.add_argument("--most-failures", type=int, default=5, help="stop after so many")
    parser.add_argument(
        "--digests", action="store_true", help="print what must be the same in each run of a seed"
    )
    parser.add_argument("--mutation", help="put this fault into the daemon")
    parser.add_argument("--all-mutations", action="store_true", help="look for each fault of mutations.py")
    options = parser.parse_args()
    options.trace = options.seed is not None
    return options


def _seeds(options: argparse.Namespace, began: float) -> Iterator[int]:
    if options.seed is not None:
        yield options.seed
        return
    seed = options.first
    while options.seconds is None or REAL_SECONDS() - began < options.seconds:
        if options.seconds is None and seed >= options.first + options.seeds:
            return
        yield seed
        seed += 1


def _find_all(mutations: Any) -> int:
    missed = 0
    for name in mutations.MUTATIONS:
        found = mutations.finding(name)
        missed += not found
        lines = found.splitlines()
        print(
            f"{'found' if found else 'MISSED':6} {name}: {' '.join(lines[:2])[:150]} ({lines[-1] if lines else ''})",
            flush=True,
        )
    print(f"{len(mutations.MUTATIONS)} faults, {missed} missed")
    return 1 if missed else 0


sys.exit(main())
