"""Read CPU time and memory of a process and its descendants from /proc."""

import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        try:
            parent = int((PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def listener(port: int) -> int | None:
    """The process that listens on a port of this machine."""
    inodes = set()
    for name in ("tcp", "tcp6"):
        for line in (PROC / "net" / name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    # the one that was started first is the parent of the others
    return next((pid for pid in sorted(_pids()) if _holds(pid, inodes)), None)


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of all threads so far, from the scheduler's nanoseconds instead of ticks."""
    total = 0
    for pid in pids:
        try:
            threads = os.listdir(PROC / str(pid) / "task")
            for thread in threads:
                total += int((PROC / str(pid) / "task" / thread / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


@dataclass(frozen=True, slots=True)
class MachineSeconds:
    """So far: busy seconds of all cores together, and the part of some processes."""

    all: float
    busy: float
    ours: float

    def others_since(self, before: "MachineSeconds") -> float:
        """The share of the machine that other programs have used."""
        foreign = (self.busy - before.busy) - (self.ours - before.ours)
        return max(0.0, foreign / max(0.01, self.all - before.all))


def machine_seconds(roots: Iterable[int]) -> MachineSeconds:
    """`roots` and their descendants count as the measured processes."""
    ours = cpu_seconds({pid for root in roots for pid in tree(root)})
    total, busy = _all_and_busy()
    return MachineSeconds(total, busy, ours)


def machine_seconds_of_children() -> MachineSeconds:
    """This process and all that it has started and that has ended count as the measured ones."""
    ours = sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    total, busy = _all_and_busy()
    return MachineSeconds(total, busy, ours)


def memory_mb(pids: Iterable[int]) -> float:
    """Resident memory, as reported by `ps`."""
    kilobytes = 0
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kilobytes += next((int(line.split()[1]) for line in lines if line.startswith("Rss:")), 0)
    return kilobytes / 1024


def pin(pids: Iterable[int], core: int) -> None:
    """Pin all threads to one core."""
    for pid in pids:
        try:
            for thread in os.listdir(PROC / str(pid) / "task"):
                os.sched_setaffinity(int(thread), {core})
        except OSError:
            continue


def _all_and_busy() -> tuple[float, float]:
    fields = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    tick = os.sysconf("SC_CLK_TCK")
    return sum(fields) / tick, (sum(fields) - idle) / tick


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]


def _holds(pid: int, inodes: set[str]) -> bool:
    folder = PROC / str(pid) / "fd"
    try:
        return any(os.readlink(folder / name) in inodes for name in os.listdir(folder))
    except OSError:
        return False
