"""Start and end: flags, the banner, one clear sentence for each problem, and a clean shutdown."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.bed import wire
from tests.bed.asking import ask, text_of
from tests.bed.certificates import Certificates, make_certificates
from tests.bed.daemon import ROOT, Daemon, Response, free_port, request, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.processes import killed_at_end
from tests.bed.upstream import Hold, Received, Script, ScriptedUpstream, answer, closed_url, say, stream
from tests.bed.wire import PROTOCOLS, Reply


def one_sentence(said: str) -> str:
    assert "Traceback" not in said, said
    return said.strip()


def test_the_first_start_writes_a_file_with_the_demo_and_a_schema(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        document = json.loads(daemon.settings_path.read_text())
        schema = json.loads((daemon.data / "all_configs.schema.json").read_text())
        for protocol in PROTOCOLS:
            said = text_of(protocol, ask(daemon.url, protocol))
            assert "demo" in said and f"{daemon.url}/".replace("127.0.0.1", "localhost") in said
            assert str(daemon.settings_path) in said

    assert [(entry["name"], entry["base_url"]) for entry in document["upstreams"]] == [("demo", "demo:")]
    assert document["$schema"] == "./all_configs.schema.json"
    assert "upstreams" in json.dumps(schema)
    assert daemon.settings_path.stat().st_mode & 0o777 == 0o600


@pytest.mark.timing
def test_the_first_answer_comes_within_a_second_or_two(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    seconds: list[float] = []
    while len(seconds) < 10 and min(seconds, default=2.0) >= 2.0:  # other programs may delay some of them
        began = time.monotonic()
        daemon.start()
        ask(daemon.url, "messages")
        seconds.append(time.monotonic() - began)
        daemon.stop()
    assert min(seconds) < 2.0, seconds


def test_the_banner_shows_which_upstreams_answer_why_others_do_not_and_the_client_addresses(
    tmp_path: Path,
) -> None:
    document = settings(
        upstream("one", "http://127.0.0.1:9/one"),
        upstream("two", "http://127.0.0.1:9/two", role="backup", clients=["messages"]),
        upstream("off", "http://127.0.0.1:9/off", enabled=False),
    )
    with Daemon(tmp_path, document) as daemon:
        banner = daemon.output

    for text in (
        f"ANTHROPIC_BASE_URL=http://localhost:{daemon.port}/api",
        f'base_url = "http://localhost:{daemon.port}/openai"',
        f"http://localhost:{daemon.port}/",
        "1. one",
        "2. two",
        "off: disabled",
    ):
        assert text in banner, banner
    assert "sk-of-" not in banner


def test_flags_have_twins_in_the_environment(tmp_path: Path) -> None:
    port = free_port()
    data = tmp_path / "elsewhere"
    environment = {"SWITCHYARD_PORT": str(port), "SWITCHYARD_DATA": str(data), "SWITCHYARD_HOST": "127.0.0.1"}
    command = [sys.executable, str(ROOT / "app.py"), "--no-install"]
    keep = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    with killed_at_end(
        subprocess.Popen(
            command,
            env=keep | environment | {"HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    ) as process:
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{port}"), "the daemon")
            assert (data / "all_configs.json").exists()
        finally:
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said


def answers(url: str) -> bool:
    try:
        return request(url, "GET", "/health").status == 200
    except OSError:
        return False


def test_localhost_is_served_on_both_families(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        for host in ("127.0.0.1", "::1"):
            try:
                socket.create_connection((host, daemon.port), timeout=PATIENCE_SECONDS).close()
            except OSError:
                assert host == "::1" and not has_ipv6_loopback()


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("LocalHost", "localhost"),
        (" 127.0.0.1 ", "localhost"),
        ("[::1]", "[::1]"),
        ("::1", "[::1]"),
        *([("127.0.0.2", "127.0.0.2")] if sys.platform != "darwin" else []),
    ],
)
def test_the_banner_names_an_address_that_answers_however_the_host_is_written(
    tmp_path: Path, host: str, named: str
) -> None:
    if named == "[::1]" and not has_ipv6_loopback():
        return
    daemon = Daemon(tmp_path, settings())
    daemon.start("--host", host, wait=False)
    address = f"http://{named}:{daemon.port}"
    try:
        wait_until(lambda: answers(address), "the daemon")
        wait_until(lambda: f"ANTHROPIC_BASE_URL={address}/api" in daemon.output, "the banner")
    finally:
        daemon.stop()


def has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# --- what is wrong -------------------------------------------------------------


def test_a_taken_port_is_named_with_the_remedy(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings())
    with socket.create_server(("127.0.0.1", daemon.port)):
        code, said = daemon.command()

    assert code == 1
    assert str(daemon.port) in one_sentence(said) and "--port" in said


def test_a_second_daemon_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path, settings()) as daemon:
        code, said = daemon.command("--port", str(free_port()))
        assert daemon.get("/health").status == 200

    assert code == 1
    assert str(daemon.data) in one_sentence(said)


def test_the_lock_of_a_killed_daemon_does_not_block_a_start(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings())
    daemon.start()
    daemon.kill()
    with daemon:
        assert daemon.get("/health").status == 200


INVALID_FILES = {
    "broken JSON": ('{"upstreams": [\n  {"name": "x",}\n]}', ("line 2",)),
    "a wrong type": (
        '{"upstreams": [{"name": "x", "base_url": "http://h", "priority": "high"}]}',
        ("$.upstreams[0].priority",),
    ),
    "two faults": (
        '{"upstreams": [{"name": "x", "base_url": "nonsense"}], "failover": {"error_threshold": 0}}',
        ("base_url", "error_threshold"),
    ),
    "a list": ("[]", ("object",)),
    "comments and an unknown field": (
        '{"failovr": {}, // mine\n"upstreams": [],}',
        ("line 1, column 17", "comment", "line 2, column 16", "did you mean `failover`?"),
    ),
}


@pytest.mark.parametrize("name", INVALID_FILES)
def test_an_invalid_file_is_explained_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    text, reported = INVALID_FILES[name]
    daemon = Daemon(tmp_path)
    daemon.data.mkdir()
    daemon.settings_path.write_text(text)

    code, said = daemon.command()

    assert code == 1
    for word in (*reported, "all_configs.json"):
        assert word in one_sentence(said)
    assert daemon.settings_path.read_text() == text


def test_after_a_file_became_invalid_while_it_ran_the_start_names_its_earlier_versions(
    tmp_path: Path,
) -> None:
    with Daemon(tmp_path, settings(upstream("a", closed_url()))) as daemon:
        daemon.settings_path.write_text("")
        wait_until(lambda: daemon.get("/health").json["faults"] == 1, "the error")

    code, said = daemon.command()

    assert code == 1
    assert f"Its earlier versions are in {daemon.data / 'history'}." in said


def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.data.write_text("not a folder")

    code, said = daemon.command()

    assert code == 1
    assert str(daemon.data) in one_sentence(said) and "--data" in said


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (("--port", "0"), "--port"),
        (("--port", "seventy"), "--port"),
        (("--port", "70000"), "--port"),
        (("--port", "²"), "--port"),
        (("--port", "9" * 5000), "--port"),
        (("--host", "203.0.113.7"), "client_keys"),
        (("--host", ""), "--host is empty"),
        (("--host", "[]"), "--host is empty"),
        (("--data", ""), "--data is empty"),
        (("--data", " ", "check"), "--data is empty"),
        (("--cert", "missing.pem"), "--cert-key"),
        (("--cert", "missing.pem", "--cert-key", "missing.key"), "missing.pem"),
    ],
)
def test_impossible_arguments_are_refused_in_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], reported: str
) -> None:
    code, said = Daemon(tmp_path, settings()).command(*arguments)

    assert code in (1, 2)
    assert reported in one_sentence(said)


# --- the data folder -------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [(), ("check",), ("service", "install"), ("import", "x.json"), ("stats", "--rebuild")]
)
@pytest.mark.parametrize("given_by", ["flag", "environment"])
def test_a_mistyped_data_folder_is_not_created(
    tmp_path: Path, command: tuple[str, ...], given_by: str
) -> None:
    mistyped = tmp_path / "hmoe" / "json_data"
    environment = {"SWITCHYARD_DATA": str(mistyped)} if given_by == "environment" else {}
    arguments = [sys.executable, str(ROOT / "app.py"), "--no-install", "--port", str(free_port())]
    done = subprocess.run(
        [*arguments, *(("--data", str(mistyped)) if given_by == "flag" else ()), *command],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
    )

    assert (done.returncode, one_sentence(done.stdout)) == (
        1,
        f"The data folder {mistyped} cannot be created, because {mistyped.parent} does not exist; "
        "correct --data (or SWITCHYARD_DATA), or create that folder.",
    )
    assert not mistyped.parent.exists()


def test_a_new_data_folder_in_a_folder_that_exists_is_created_and_shown(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    with daemon:
        assert f"  Data folder  {daemon.data}\n" in daemon.output
    assert daemon.data.stat().st_mode & 0o777 == 0o700


# --- HTTPS ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_with_a_certificate_https_is_served_and_reported(tmp_path: Path, certificates: Certificates) -> None:
    daemon = Daemon(tmp_path, settings())
    own = certificates.folder
    daemon.start("--cert", str(own / "good.pem"), "--cert-key", str(own / "good.key"), wait=False)
    try:
        wait_until(lambda: _answers_https(daemon, certificates), "the daemon")
        assert not answers(daemon.url)
        assert f"ANTHROPIC_BASE_URL=https://localhost:{daemon.port}/api" in daemon.output
    finally:
        daemon.stop()


def _answers_https(daemon: Daemon, certificates: Certificates) -> bool:
    connection = http.client.HTTPSConnection(
        "localhost", daemon.port, timeout=PATIENCE_SECONDS, context=certificates.client()
    )
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_a_key_of_another_certificate_is_refused_in_one_sentence(
    tmp_path: Path, certificates: Certificates
) -> None:
    own = certificates.folder
    daemon = Daemon(tmp_path, settings())
    code, said = daemon.command("--cert", str(own / "good.pem"), "--cert-key", str(own / "other.key"))

    assert code == 1
    assert "other.key cannot be used" in one_sentence(said) and "--cert-key" in said


def test_no_passphrase_is_requested(tmp_path: Path, certificates: Certificates) -> None:
    own, key = certificates.folder, tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", own / "good.key", "-aes256", "-passout", "pass:word", "-out", key]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    code, said = Daemon(tmp_path, settings()).command("--cert", str(own / "good.pem"), "--cert-key", str(key))

    assert code == 1
    assert one_sentence(said).endswith(
        f"has a passphrase; create a copy without one with `openssl pkey -in {key} -out NEW` and use that."
    )


# --- the end -------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    daemon = Daemon(tmp_path, settings())
    daemon.start()
    os.kill(daemon.pid, number)
    wait_until(lambda: not answers(daemon.url), "the end")
    daemon.stop()


def test_a_running_stream_may_finish_and_is_counted_while_new_clients_are_turned_away(tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(received: Received) -> Script:
        steps = list(
            stream(
                wire.records(received.protocol, Reply("To the very end", usage=wire.Usage(output=42)), "m")
            )
        )
        return [*steps[:6], Hold(go_on), *steps[6:]]

    with ScriptedUpstream(slow) as server:
        daemon = Daemon(tmp_path, settings(upstream("a", server.url)))
        daemon.start()
        answered: list[Response] = []
        client = threading.Thread(target=lambda: answered.append(ask(daemon.url, "messages")))
        client.start()
        wait_until(lambda: with_content(daemon) == 1, "the content")
        os.kill(daemon.pid, signal.SIGTERM)
        wait_until(lambda: not answers(daemon.url), "the closed door")
        go_on.set()
        client.join(PATIENCE_SECONDS)
        daemon.stop()

    assert text_of("messages", answered[0]) == "To the very end"
    assert daemon.journal()[-1]["usage"]["output"] == 42
    with daemon:
        assert daemon.token_stats()["summary"]["total_output_tokens"] == 42


def with_content(daemon: Daemon) -> int:
    """How many requests are being answered."""
    return sum(row["first_byte"] is not None for row in daemon.get("/api/state").json["running"])


def all_ask(daemon: Daemon) -> tuple[list[threading.Thread], list[Response]]:
    """A client of each protocol that waits for its response, and the responses."""
    answered: list[Response] = []
    clients = [
        threading.Thread(target=lambda asked=protocol: answered.append(ask(daemon.url, asked)))
        for protocol in PROTOCOLS
    ]
    for client in clients:
        client.start()
    return clients, answered


def test_an_endless_stream_is_broken_off_with_words_when_the_time_is_up(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(Reply("word " * 100_000), seconds_between=0.05)) as server:
        entries = [upstream(protocol, server.url, protocol, clients=[protocol]) for protocol in PROTOCOLS]
        daemon = Daemon(tmp_path, settings(*entries))
        daemon.start()
        clients, answered = all_ask(daemon)
        wait_until(lambda: with_content(daemon) == len(PROTOCOLS), "the content")
        daemon.stop()
        for client in clients:
            client.join(PATIENCE_SECONDS)

    assert [response.text.count("Switchyard is shutting down") for response in answered] == [1, 1, 1]
    assert [line["outcome"] for line in daemon.journal()] == ["truncated"] * 3


@pytest.mark.timing
@pytest.mark.parametrize("begun", [True, False])
def test_a_second_signal_ends_it_at_once_and_clients_are_reported(tmp_path: Path, begun: bool) -> None:
    never = threading.Event()

    def endless(received: Received) -> Script:
        steps = list(stream(wire.records(received.protocol, Reply("Never to the end"), "m")))
        return [*(steps[:6] if begun else []), Hold(never)]

    with ScriptedUpstream(endless) as server:
        entries = [upstream(protocol, server.url, protocol, clients=[protocol]) for protocol in PROTOCOLS]
        daemon = Daemon(tmp_path, settings(*entries))
        daemon.start()
        clients, answered = all_ask(daemon)
        server.wait_for(3)
        wait_until(lambda: with_content(daemon) == (len(PROTOCOLS) if begun else 0), "the content")
        began = time.monotonic()
        os.kill(daemon.pid, signal.SIGINT)
        wait_until(lambda: not answers(daemon.url), "the closed door")
        daemon.stop()
        seconds = time.monotonic() - began
        for client in clients:
            client.join(PATIENCE_SECONDS)
        never.set()

    assert seconds < 9, "the first signal alone leaves ten seconds"
    assert [response.text.count("Switchyard is shutting down") for response in answered] == [1, 1, 1]
    assert [response.status for response in answered] == [200 if begun else 503] * 3
    assert [line["outcome"] for line in daemon.journal()] == ["truncated" if begun else "failed"] * 3


# --- sub-commands --------------------------------------------------------------


def test_check_reports_a_valid_file_or_every_error(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings(upstream("a", "http://127.0.0.1:9")))
    assert daemon.command("check")[0] == 0
    daemon.write_settings(settings(upstream("a", "nowhere"), upstream("a", "http://127.0.0.1:9", priority=0)))
    code, said = daemon.command("check")

    assert code == 1
    for path in ("$.upstreams[0].base_url", "$.upstreams[1].priority"):
        assert path in one_sentence(said)


def test_check_lists_unknown_fields_together_with_errors(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings(upstream("a", "nowhere", priorty=5)))
    code, said = daemon.command("check")

    assert code == 1
    for words in (
        "$.upstreams[0].base_url (line",
        "$.upstreams[0].priorty (line",
        "mean `priority`?",
        "1 error",
    ):
        assert words in one_sentence(said)


def test_explain_names_the_candidates_and_the_reasons_for_all_others(tmp_path: Path) -> None:
    document = settings(
        upstream("monday", "http://127.0.0.1:9", weekdays=["mon"]),
        upstream("small", "http://127.0.0.1:9", models=["other-*"]),
        upstream("off", "http://127.0.0.1:9", enabled=False),
        upstream("always", "http://127.0.0.1:9"),
    )
    daemon = Daemon(tmp_path, document)
    code, said = daemon.command("explain", "--client", "messages", "--model", "claude-x", "--at", "tue 09:00")

    assert code == 0
    for name in ("monday", "small", "off", "always"):
        assert name in one_sentence(said)


def test_it_serves_while_nothing_answers(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(say("x")) as server,
        Daemon(tmp_path, settings(upstream("a", server.url, enabled=False))) as daemon,
    ):
        response = ask(daemon.url, "messages")

    assert response.status in (400, 503)
    assert '"a"' in response.json["error"]["message"] and "disabled" in response.json["error"]["message"]
