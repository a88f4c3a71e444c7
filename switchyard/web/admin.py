"""The dashboard's JSON API and pages: one place, one error shape."""

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from switchyard import VERSION

if TYPE_CHECKING:
    from switchyard.application import Application


def build_admin(application: "Application", static: Path) -> Starlette:
    """The ASGI application for everybody but the clients."""

    async def health(request: Request) -> Response:
        return JSONResponse(
            {
                "status": "ok",
                "version": VERSION,
                "uptime_seconds": round(application.uptime_seconds(), 1),
                "revision": application.settings_file.revision,
                "faults": len(application.settings_file.faults),
            }
        )

    async def token_stats(request: Request) -> Response:
        query = request.query_params
        statistics = application.ledger.statistics
        return JSONResponse(
            statistics.token_stats(query.get("from", ""), query.get("to", ""), query.get("by", ""))
        )

    async def reset_stats(request: Request) -> Response:
        copy = await application.ledger.statistics.reset()
        return JSONResponse({"copy": copy.name if copy is not None else None})

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/api/token-stats", token_stats),
            Route("/api/token-stats/reset", reset_stats, methods=["POST"]),
            Mount("/", StaticFiles(directory=static, html=True, check_dir=False)),
        ]
    )
