"""The address at which clients on this machine reach a daemon that listens on a host and port."""

CLIENT_NAMES = {"127.0.0.1": "localhost", "0.0.0.0": "localhost", "::": "::1"}
"""the name for clients on this machine, where that is not the address to listen on; localhost may have no IPv6"""


def client_address(host: str, port: int, *, has_tls: bool) -> str:
    name = CLIENT_NAMES.get(host, host)
    return f"{'https' if has_tls else 'http'}://{f'[{name}]' if ':' in name else name}:{port}"
