"""What a client sees that reads its socket by hand."""

import socket


def rest_of(connection: socket.socket) -> bytes:
    """What still comes until the server closes. Fails if it does not; a reset is a close as well."""
    told = b""
    try:
        while piece := connection.recv(65536):
            told += piece
    except ConnectionResetError:
        pass
    return told
