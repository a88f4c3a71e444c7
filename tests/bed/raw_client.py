"""A client that works on a raw socket: it sends any bytes, reads what comes, and leaves at any time."""

import socket
import struct
import sys

from tests.bed.patience import PATIENCE_SECONDS


def post(port: int, path: str, body: bytes, *, chunk_bytes: int = 0) -> socket.socket:
    """The connection after a whole request was sent; with `chunk_bytes` its body is chunked in that size."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    framing = "transfer-encoding: chunked" if chunk_bytes else f"content-length: {len(body)}"
    connection.sendall(f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{framing}\r\n\r\n".encode())
    connection.sendall(_chunked(body, chunk_bytes) if chunk_bytes else body)
    return connection


def _chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def leave(connection: socket.socket, *, reset: bool = False) -> None:
    """Close the connection with a FIN, or with an RST."""
    if reset:
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


def cooldown_of(connection: socket.socket) -> bytes:
    """What arrives until the server closes. Fails if it does not; a reset also counts as closed."""
    reported = b""
    try:
        while piece := connection.recv(65536):
            reported += piece
    except ConnectionResetError:
        pass
    return reported
