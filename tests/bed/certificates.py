"""Certificates for TLS servers in tests: made by the openssl command, trusted only by the test."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Certificates for two servers: `good` is localhost on loopback addresses, `other` has another name."""

    folder: Path

    def server(self, name: str = "good", *, asks_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if asks_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.folder / "all.pem")
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def client(self) -> ssl.SSLContext:
        """Trusts these certificates only."""
        context = ssl.create_default_context(cafile=str(self.folder / "all.pem"))
        context.set_alpn_protocols(["http/1.1"])
        return context


NAMES = {
    "good": "DNS:localhost,IP:127.0.0.1,IP:::1",
    "other": "DNS:other.example",
}


def make_certificates(folder: Path) -> Certificates:
    for name, names in NAMES.items():
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"]
        command += ["-addext", f"subjectAltName={names}", "-days", "2"]
        command += ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
    together = "".join((folder / f"{name}.pem").read_text() for name in NAMES)
    (folder / "all.pem").write_text(together)
    return Certificates(folder)
