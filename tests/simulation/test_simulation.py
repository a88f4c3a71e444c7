"""Short runs of the simulation: no violation, the same run for the same seed, and faults that it must find."""

import subprocess
import sys

import pytest

from tests.simulation.mutations import MUTATIONS, ROOT, finding

QUICK = (
    "a cancelled attempt keeps its slot",
    "a whole answer is sent before its record",
    "the key of the first upstream goes to all",
)


def simulated(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_no_schedule_breaks_what_must_always_hold() -> None:
    assert "250 seeds" in simulated("--seeds", "250")


def test_a_seed_has_the_same_run_in_each_process() -> None:
    alone = simulated("--first", "20", "--seeds", "1", "--digests")
    assert alone.splitlines()[0] in simulated("--first", "15", "--seeds", "8", "--digests").splitlines()


@pytest.mark.parametrize("name", QUICK)
def test_a_fault_is_found(name: str) -> None:
    assert finding(name, seeds=40)


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_fault_still_fits_the_source(name: str) -> None:
    mutation = MUTATIONS[name]
    assert mutation.applied(mutation.path.read_text(encoding="utf-8"))
