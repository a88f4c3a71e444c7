"""Measure the first byte after a pause, over TLS and a long way: `python bench/pause.py`."""

import asyncio
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from switchyard.http1.tls import ResumingContext
from switchyard.http1.transport import Http1Transport
from tests.bed.certificates import make_certificates
from tests.bed.far import FarRelay
from tests.bed.raw_server import RawServer, answers, ok

ROUND_TRIP_SECONDS = 0.08
ROUNDS = 7
HELD_SECONDS = 900
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


async def first_byte(transport: Http1Transport, url: str) -> float:
    began = time.perf_counter()
    reply = await transport.send("POST", url, [], b"{}", 10)
    seconds = time.perf_counter() - began
    async for _ in reply.chunks():
        pass
    return seconds


async def measured(version: ssl.TLSVersion, folder: Path) -> list[tuple[str, float]]:
    certificates = make_certificates(folder)
    server_tls = certificates.server()
    server_tls.maximum_version = version
    found: dict[str, list[float]] = {
        "a new connection": [],
        "a session resumed": [],
        "a ready connection": [],
    }
    async with (
        RawServer(answers(ok()), server_tls) as server,
        FarRelay(server.port, ROUND_TRIP_SECONDS) as far,
    ):
        url = f"https://127.0.0.1:{far.port}/v1/messages"
        for _ in range(ROUNDS):
            context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(folder / "all.pem")
            for name in ("a new connection", "a session resumed"):
                transport = Http1Transport(tls=lambda context=context: context)  # type: ignore[misc]
                # a connection to loopback needs no round trip, one to a far host does
                found[name].append(await first_byte(transport, url) + ROUND_TRIP_SECONDS)
                await transport.close()
            transport = Http1Transport(tls=lambda context=context: context)  # type: ignore[misc]
            transport.hold(url, HELD_SECONDS, 10)
            transport.ready.look()
            while not transport.idle_count:
                await asyncio.sleep(0.01)
            found["a ready connection"].append(await first_byte(transport, url))
            await transport.close()
    return [(name, statistics.median(seconds)) for name, seconds in found.items()]


def main() -> None:
    print(f"First byte with {ROUND_TRIP_SECONDS * 1000:.0f} ms of round trip, median of {ROUNDS}\n")
    print("| | TLS 1.2 | TLS 1.3 |\n|---|---:|---:|")
    columns = []
    for version in VERSIONS:
        with tempfile.TemporaryDirectory() as folder:
            columns.append(asyncio.run(measured(version, Path(folder))))
    for (name, old), (_, new) in zip(*columns, strict=True):
        print(f"| {name} | {old * 1000:.0f} ms | {new * 1000:.0f} ms |")


if __name__ == "__main__":
    main()
