"""Certificates and proxies of a company's network, with the daemon, the connection test, `explain` and `doctor`."""

from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import PATHS, question
from tests.bed.certificates import Certificates, make_certificates
from tests.bed.daemon import Daemon, Response, request, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def ask(daemon: Daemon) -> Response:
    return request(
        daemon.url, "POST", PATHS["messages"], question("messages", "claude-sonnet-4-5", stream=False)
    )


def test_a_companys_certificate_is_trusted_by_the_entry_the_test_and_doctor(
    tmp_path: Path, certificates: Certificates
) -> None:
    ca = {"ca": str(certificates.folder / "good.pem")}
    with (
        ScriptedUpstream(say("private"), tls=certificates.server()) as server,
        Daemon(tmp_path, settings(upstream("a", server.url, tls=ca))) as daemon,
    ):
        assert "private" in ask(daemon).text
        assert daemon.command("test", "a")[0] == 0
        assert "a: can be reached" in daemon.command("doctor")[1].replace("  ", " ")


def test_an_untrusted_certificate_is_refused_by_all_alike(tmp_path: Path, certificates: Certificates) -> None:
    with (
        ScriptedUpstream(tls=certificates.server()) as server,
        Daemon(tmp_path, settings(upstream("a", server.url))) as daemon,
    ):
        assert "certificate not accepted" in ask(daemon).text
        assert "certificate is not trusted" in daemon.command("test", "a")[1]
        assert "its certificate is not accepted" in daemon.command("doctor")[1]
    assert server.requests == []


def test_ssl_cert_file_counts_for_all_alike(tmp_path: Path, certificates: Certificates) -> None:
    environment = {"SSL_CERT_FILE": str(certificates.folder / "good.pem")}
    with (
        ScriptedUpstream(say("private"), tls=certificates.server()) as server,
        Daemon(tmp_path, settings(upstream("a", server.url)), environment) as daemon,
    ):
        assert "private" in ask(daemon).text
        assert daemon.command("test", "a")[0] == 0


def test_a_file_that_is_missing_is_named(tmp_path: Path, certificates: Certificates) -> None:
    entry = {"ca": "/no/such/ca.pem"}
    with (
        ScriptedUpstream(tls=certificates.server()) as server,
        Daemon(tmp_path, settings(upstream("a", server.url, tls=entry))) as daemon,
    ):
        for text in (ask(daemon).text, daemon.command("test", "a")[1], daemon.command("doctor")[1]):
            assert "tls.ca: no such file or directory" in text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0.0.0.0"])
def test_an_entry_with_the_daemons_own_address_is_named_after_one_request(tmp_path: Path, host: str) -> None:
    with Daemon(tmp_path) as daemon:
        address = f"http://{host}:{daemon.port}/api"
        daemon.change_settings(settings(upstream("a", address), upstream("b", address, role="backup")))
        answer = ask(daemon)
        assert (answer.status, len(daemon.journal())) == (502, 1)
        assert answer.text.count("leads back to Switchyard itself; correct `base_url`") == 2


def test_a_variable_that_names_no_proxy_is_named_by_all(tmp_path: Path) -> None:
    environment = {"https_proxy": "ftp://proxy.example:21"}
    with Daemon(tmp_path, settings(upstream("a", "https://outside.example")), environment) as daemon:
        for text in (ask(daemon).text, daemon.command("test", "a")[1], daemon.command("doctor")[1]):
            assert "the proxy in https_proxy cannot be used" in text, text


def test_explain_names_the_proxy_with_and_without_a_daemon(tmp_path: Path) -> None:
    environment = {"https_proxy": "user:word@127.0.0.1:7890"}
    entries = settings(
        upstream("a", "https://outside.example"), upstream("b", "https://other.example", proxy="direct")
    )
    with Daemon(tmp_path, entries, environment) as daemon:
        texts = [daemon.command("explain")[1]]
        daemon.stop()
        texts.append(daemon.command("explain")[1])
    for text in texts:
        first, second = text.strip().splitlines()[-2:]
        assert "through the proxy http://127.0.0.1:7890 (https_proxy)" in first and "word" not in first
        assert "proxy" not in second


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"proxy": "directly"}, "http://, https:// or socks5:// with host and port, or direct"),
        (
            {"tls": {"ca": "company.pem"}},
            'expected an absolute path, or one that begins with ~, found "company.pem"',
        ),
        ({"tls": {"key": "/a/key.pem"}}, "expected the certificate that belongs to the key"),
    ],
)
def test_check_names_what_cannot_be_used(tmp_path: Path, entry: dict[str, Any], text: str) -> None:
    with Daemon(tmp_path, settings(upstream("a", "https://outside.example"))) as daemon:
        daemon.write_settings(settings(upstream("a", "https://outside.example", **entry)))
        code, output = daemon.command("check")
    assert code == 1 and text in output, output
