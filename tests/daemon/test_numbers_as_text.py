"""What Prometheus and the status lines of clients read."""

from pathlib import Path

from tests.bed.daemon import Daemon, settings

BODY = {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}


def test_the_status_line_shows_the_upstream_and_the_usage_of_today(tmp_path: Path) -> None:
    with Daemon(tmp_path, settings({"name": "demo", "base_url": "demo:"})) as daemon:
        assert daemon.get("/statusline").text == "demo | 0 tokens | -\n"
        assert daemon.post("/v1/messages", BODY).status == 200
        line = daemon.get("/statusline").text
        assert line.startswith("demo | ") and " 0 tokens" not in line
        assert daemon.get("/statusline?client=nobody").status == 400


def test_the_metrics_count_requests_by_upstream_and_model(tmp_path: Path) -> None:
    with Daemon(tmp_path, settings({"name": "demo", "base_url": "demo:"})) as daemon:
        assert daemon.post("/v1/messages", BODY).status == 200
        answer = daemon.get("/metrics")
        assert answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
        lines = answer.text.splitlines()
        assert 'switchyard_requests_total{by="upstream",name="demo"} 1' in lines
        assert 'switchyard_requests_total{by="model",name="claude-sonnet-4-5"} 1' in lines


def test_with_no_upstream_the_line_says_so(tmp_path: Path) -> None:
    with Daemon(tmp_path, settings({"name": "demo", "base_url": "demo:", "enabled": False})) as daemon:
        assert daemon.get("/statusline").text == "no upstream | 0 tokens | -\n"
