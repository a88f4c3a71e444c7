"""A client that must be told a model is no error of its file."""

from pathlib import Path

from tests.bed.daemon import Daemon, settings, upstream


def test_a_client_that_needs_a_model_is_not_set_up_and_says_so(tmp_path: Path) -> None:
    with Daemon(tmp_path, settings(upstream("a", "http://127.0.0.1:9", "chat"))) as daemon:
        clients = {one["client"]: one for one in daemon.get("/api/clients").json["clients"]}
    found = clients["opencode"]
    assert (found["state"], found["detail"]) == (
        "absent",
        "No upstream lists a model: enter the one that OpenCode is to request.",
    )
