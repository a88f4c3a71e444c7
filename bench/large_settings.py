"""Measure the overview of many upstreams and routing with many patterns: `python bench/large_settings.py`."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from switchyard.application import Application  # noqa: E402
from switchyard.relay.clocks import steady_seconds  # noqa: E402
from switchyard.routing.lineup import line_up  # noqa: E402
from switchyard.serve import tune_interpreter  # noqa: E402
from switchyard.settings import Settings  # noqa: E402
from switchyard.store.settings_file import SettingsFile  # noqa: E402
from switchyard.web.epochs import Epochs  # noqa: E402
from switchyard.web.overview import Overview  # noqa: E402

SHOWN_UPSTREAMS = 3000
PATTERNS = 10_000


@dataclass(frozen=True, slots=True)
class Costs:
    """Milliseconds of CPU time."""

    overview_ms: float
    overview_step_ms: float
    patterns_ms: float


def entries(count: int, patterns: int = 0) -> list[dict[str, Any]]:
    models = [f"m{number}-*" for number in range(patterns)]
    return [
        {
            "name": f"u{n}",
            "base_url": f"https://h{n}.example",
            "key": "k",
            "protocol": "chat",
            "models": models,
        }
        for n in range(count)
    ]


@contextmanager
def stored(upstreams: list[dict[str, Any]]) -> Iterator[SettingsFile]:
    with tempfile.TemporaryDirectory() as folder:
        settings_file = SettingsFile(Path(folder))
        settings_file.path.write_bytes(msgspec.json.encode({"upstreams": upstreams}))
        settings_file.load()
        yield settings_file


async def overview_times(settings_file: SettingsFile) -> tuple[float, float]:
    """CPU seconds of a whole overview, and of its longest step; the first one fills the caches.

    Garbage is collected as in the daemon: as Python does it by itself, it would take most of the longest step.
    """
    tune_interpreter()
    application = Application(settings_file, settings_file.path.parent, ROOT / "static")
    overview = Overview(application, Epochs(steady_seconds).now)
    await overview.state()
    began, steps = time.process_time(), [0.0]
    computing = asyncio.create_task(overview.state())
    while not computing.done():
        before = time.process_time()
        await asyncio.sleep(0)
        steps.append(time.process_time() - before)
    return time.process_time() - began, max(steps)


def routing_seconds(settings: Settings) -> float:
    began = time.process_time()
    line_up(settings, "chat", "an-unknown-model", datetime.now().astimezone(), {})
    return time.process_time() - began


async def costs() -> Costs:
    with stored(entries(SHOWN_UPSTREAMS)) as settings_file:
        whole, step = await overview_times(settings_file)
    with stored(entries(1, PATTERNS)) as settings_file:
        routing = routing_seconds(settings_file.settings)
    return Costs(whole * 1000, step * 1000, routing * 1000)


def main() -> None:
    found = asyncio.run(costs())
    print("| | CPU, ms |\n|---|---:|")
    print(f"| overview of {SHOWN_UPSTREAMS:,} upstreams | {found.overview_ms:.0f} |")
    print(f"| its longest step | {found.overview_step_ms:.1f} |")
    print(f"| first request of a model with {PATTERNS:,} patterns, routing | {found.patterns_ms:.1f} |")


if __name__ == "__main__":
    main()
