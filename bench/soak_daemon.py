"""The daemon, which on SIGUSR1 counts what it holds, so that the soak can compare before and after."""

import asyncio
import gc
import json
import signal
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from switchyard import serve  # noqa: E402
from switchyard.application import Application  # noqa: E402


class CountingApplication(Application):
    async def start(self) -> None:
        await super().start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._tell)

    def _tell(self) -> None:
        gc.collect()
        conditions = self.health.conditions()
        counts = {
            "tasks": dict(Counter(_work_of(task) for task in asyncio.all_tasks())),
            "waiting": len(self.slots),
            "draining": len(self.dependencies.draining),
            "free_soon": sorted(self.slots.free_soon()),
            "held": len(self.dependencies.hold.held()),
            "under_way": {
                one.account: self.limits.under_way(one.account_id) for one in self.current().accounts
            },
            "on_trial": [list(key) for key, condition in conditions.items() if condition.trial_by],
            "running": len(self.recent.running()),
            "sessions": len(self.sessions),
        }
        path = self.folder / "counts.json"
        path.with_suffix(".tmp").write_text(json.dumps(counts))
        path.with_suffix(".tmp").replace(path)


def _work_of(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", "?")


def main() -> int:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    vars(serve)["Application"] = CountingApplication
    return serve.serve(serve.Options("127.0.0.1", port, folder, ROOT / "static"))


if __name__ == "__main__":
    sys.exit(main())
