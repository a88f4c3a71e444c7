"""Load one program as much as possible until stopped: 8 MB bodies, or streams without pauses."""

import sys

from load import ask_again, stream_again
from loops import run
from rounds import MEGABYTE
from traffic import Target

KINDS = ("bodies", "streams")
FOREVER = 10_000.0


async def disturb(kind: str, target: Target) -> None:
    if kind == "bodies":
        await ask_again(target, 1, FOREVER, size=8 * MEGABYTE)
    else:
        await stream_again(target, 1, FOREVER)


if __name__ == "__main__":
    kind, url, model = sys.argv[1:]
    run(disturb(kind, Target("disturbed", url, model=model)))
