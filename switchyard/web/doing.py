"""What the dashboard's API does without touching the settings file."""

from starlette.requests import Request
from starlette.responses import Response

from switchyard.web.answers import Handler, Problem, answer, read_object
from switchyard.web.overview import Daemon, Overview


class Doing:
    """The handlers of POST paths that act at once."""

    def __init__(self, daemon: Daemon, overview: Overview) -> None:
        self._daemon = daemon
        self._overview = overview

    def table(self) -> dict[str, Handler]:
        return {"/api/token-stats/reset": self.reset_statistics}

    async def reset_statistics(self, request: Request) -> Response:
        await read_object(request)
        copy = await self._daemon.ledger.statistics.reset()
        if copy is None:
            raise Problem(507, self._daemon.ledger.fault)
        self._overview.recount()
        return answer({"copy": copy.name})
