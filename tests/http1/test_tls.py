"""TLS contexts: what is trusted, what is presented, and files that cannot be used."""

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from switchyard.http1 import tls
from switchyard.http1.errors import ConnectFailed
from switchyard.http1.tls import TlsFiles, tls_context
from switchyard.http1.transport import Http1Transport
from tests.bed.certificates import Certificates, make_certificates
from tests.bed.raw_server import RawServer, answers, ok
from tests.http1.conftest import Run

UNTRUSTED = "certificate not accepted: self-signed certificate"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def outcome(run: Run, server_tls: ssl.SSLContext, context: Callable[[], ssl.SSLContext]) -> str:
    """The body of the answer, or why there is none."""

    async def work(transport: Http1Transport) -> str:
        async with RawServer(answers(ok()), server_tls) as server:
            try:
                reply = await transport.send("GET", server.url, [], b"", 5)
            except ConnectFailed as error:
                return str(error)
            return b"".join([chunk async for chunk in reply.chunks()]).decode()

    found: str = run(work, tls=context)
    return found


def test_a_file_of_the_upstream_is_trusted_beside_the_usual(run: Run, certificates: Certificates) -> None:
    files = TlsFiles(ca=str(certificates.folder / "good.pem"))
    assert outcome(run, certificates.server(), lambda: tls_context(files)) == "hello"
    assert outcome(run, certificates.server(), tls_context) == UNTRUSTED


def test_what_the_system_trusts_is_trusted(
    run: Run, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "SYSTEM_STORES", (str(certificates.folder / "good.pem"), "/no/such/store.pem"))
    tls._tls_context.cache_clear()
    try:
        assert outcome(run, certificates.server(), tls_context) == "hello"
    finally:
        tls._tls_context.cache_clear()


def test_ssl_cert_file_is_trusted(
    run: Run, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.folder / "good.pem"))
    tls._tls_context.cache_clear()
    try:
        assert outcome(run, certificates.server(), tls_context) == "hello"
        # certifi's list and the system's store stay in it
        assert len(tls_context().get_ca_certs()) > 50
    finally:
        tls._tls_context.cache_clear()


def test_without_verification_every_certificate_is_accepted(run: Run, certificates: Certificates) -> None:
    files = TlsFiles(verify=False)
    assert outcome(run, certificates.server("other"), lambda: tls_context(files)) == "hello"


def test_a_certificate_is_presented_to_servers_that_require_one(run: Run, certificates: Certificates) -> None:
    folder = certificates.folder
    asking = certificates.server(asks_client=True)
    ca, cert, key = (str(folder / name) for name in ("good.pem", "good.pem", "good.key"))
    assert outcome(run, asking, lambda: tls_context(TlsFiles(ca, cert, key))) == "hello"
    together = folder / "together.pem"
    together.write_text((folder / "good.pem").read_text() + (folder / "good.key").read_text())
    assert outcome(run, asking, lambda: tls_context(TlsFiles(ca, str(together)))) == "hello"


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (TlsFiles(ca="/no/such/file.pem"), "tls.ca: no such file or directory"),
        (TlsFiles(cert="/no/such/file.pem"), "tls.cert: no such file or directory"),
        (TlsFiles(cert="{folder}/good.pem", key="{folder}/none.key"), "tls.key: no such file or directory"),
        (TlsFiles(ca="{folder}/good.key"), "tls.ca cannot be used: "),
        (TlsFiles(ca="{folder}/empty.pem"), "tls.ca cannot be used: "),
        (
            TlsFiles(cert="{folder}/good.pem", key="{folder}/other.key"),
            "tls.cert or tls.key cannot be used: ",
        ),
        (TlsFiles(ca="{folder}"), "tls.ca: is a directory"),
    ],
)
def test_files_that_cannot_be_used_are_named(certificates: Certificates, files: TlsFiles, text: str) -> None:
    (certificates.folder / "empty.pem").write_text("")
    ca, cert, key = (
        path.replace("{folder}", str(certificates.folder)) for path in (files.ca, files.cert, files.key)
    )
    with pytest.raises(ConnectFailed) as caught:
        tls_context(TlsFiles(ca, cert, key))
    assert str(caught.value).startswith(text)


def test_a_renewed_file_is_read_again(tmp_path: Path, certificates: Certificates) -> None:
    file = tmp_path / "ca.pem"
    file.write_text((certificates.folder / "good.pem").read_text())
    files = TlsFiles(ca=str(file))
    first = tls_context(files)
    assert tls_context(files) is first
    file.write_text((certificates.folder / "other.pem").read_text())
    os.utime(file, (1, 1))
    assert tls_context(files) is not first
