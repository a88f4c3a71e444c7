"""A data folder that becomes read-only while the daemon runs, as a file system does after errors of its disk."""

from pathlib import Path

import pytest

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.own_mounts import can_mount, own_mounts, read_only
from tests.bed.patience import wait_until
from tests.bed.upstream import ScriptedUpstream, say

pytestmark = pytest.mark.skipif(not can_mount(), reason="needs mounts of its own (unshare, nsenter)")


def test_a_read_only_folder_stops_no_request_and_loses_no_line(tmp_path: Path) -> None:
    with ScriptedUpstream(say("Served")) as server:
        daemon = Daemon(tmp_path, settings(upstream("a", server.url)))
        with own_mounts(daemon), daemon:
            assert ask(daemon.url, "messages").status == 200
            revision = daemon.get("/health").json["revision"]
            before = daemon.settings_path.read_bytes()
            with read_only(daemon):
                wait_until(
                    lambda: ask(daemon.url, "messages").status == 200 and _reported(daemon), "a report"
                )
                asked = daemon.token_stats()["summary"]["total_requests"]
                toggled = {"revision": revision, "name": "a", "enabled": False}
                saved = daemon.post("/api/upstreams/toggle", toggled)
                assert (saved.status, "Read-only file system" in saved.text) == (507, True), saved.text
                use = daemon.post("/api/use", {"upstream": "a"})
                assert use.status < 500, use.text
                assert ask(daemon.url, "messages").status == 200, "what could not be saved is not in use"
            wait_until(lambda: len(daemon.journal()) == asked + 1, "the lines that waited")

            assert daemon.settings_path.read_bytes() == before
            assert daemon.post("/api/upstreams/toggle", toggled).status == 200, "it can be written again"
            wait_until(lambda: not _reported(daemon), "the end of the report")
        daemon.start()
        assert daemon.token_stats()["summary"]["total_requests"] == asked + 1
        daemon.stop()


def _reported(daemon: Daemon) -> bool:
    return "read-only: make it writable" in daemon.get("/api/state").text
