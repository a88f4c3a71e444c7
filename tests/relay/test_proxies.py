"""Which proxy an address gets: the entry's, the environment's or the system's, and which addresses get none."""

import urllib.request
from collections.abc import Iterator

import pytest

from switchyard.relay import proxies
from switchyard.relay.proxies import ChosenProxy, choose_proxy, proxy_text
from switchyard.settings import Upstream

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    proxies._environment_proxy.cache_clear()
    yield
    proxies._environment_proxy.cache_clear()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_loopback_is_always_reached_directly(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert choose_proxy("", f"http://{host}:4000/v1") == ChosenProxy()


@pytest.mark.parametrize(
    ("variable", "value", "url"),
    [
        ("https_proxy", "http://proxy.example:3128", "http://proxy.example:3128"),
        ("HTTPS_PROXY", "127.0.0.1:7890", "http://127.0.0.1:7890"),
        ("all_proxy", "proxy.example", "http://proxy.example"),
        ("ALL_PROXY", "socks://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
        ("https_proxy", "SOCKS5H://127.0.0.1:1080/", "socks5h://127.0.0.1:1080/"),
        ("http_proxy", "http://proxy.example:3128", ""),
    ],
)
def test_the_environment_names_the_proxy(
    variable: str, value: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    source = variable if url else ""
    assert choose_proxy("", "https://outside.example/v1") == ChosenProxy(url, source)


@pytest.mark.parametrize(
    "value", ["ftp://proxy.example:21", "socks4://127.0.0.1:1080", "http://", "http://h:99999"]
)
def test_a_variable_that_cannot_be_used_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    chosen = choose_proxy("", "https://outside.example/v1")
    assert chosen.url == "" and "HTTPS_PROXY cannot be used" in chosen.problem


def test_the_entry_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert choose_proxy("direct", "https://outside.example/v1") == ChosenProxy()
    assert choose_proxy("http://own.example:1", "http://127.0.0.1:4000").url == "http://own.example:1"


@pytest.mark.parametrize(
    ("listed", "url", "exempt"),
    [
        ("inside.example", "https://inside.example/v1", True),
        ("inside.example", "https://deep.inside.example/v1", True),
        (".inside.example, other", "https://a.inside.example", True),
        ("*.inside.example", "https://a.INSIDE.example", True),
        ("inside.example", "https://notinside.example", False),
        ("inside.example:8443", "https://inside.example:8443", True),
        ("inside.example:8443", "https://inside.example", False),
        ("inside.example:443", "https://inside.example", True),
        ("10.0.0.0/8", "https://10.1.2.3/v1", True),
        ("10.0.0.0/8", "https://11.1.2.3/v1", False),
        ("10.1.2.3", "https://10.1.2.3/v1", True),
        ("2.3", "https://10.1.2.3/v1", False),
        ("fd00::/8", "https://[fd12::1]:4000", True),
        ("[fd12::1]:4000", "https://[fd12::1]:4000", True),
        ("fd12::1", "https://[fd12::1]:4000", True),
        ("nonsense/8 *", "https://anything.example", True),
        ("nonsense/8", "https://anything.example", False),
        ("", "https://anything.example", False),
    ],
)
def test_exempt_addresses_are_reached_directly(
    listed: str, url: str, exempt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", listed)
    assert (choose_proxy("", url).url == "") is exempt


@pytest.mark.parametrize("suffix", ["macosx_sysconf", "registry"])
def test_without_a_variable_the_systems_settings_count(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"https": "http://127.0.0.1:7890", "socks": "socks5://127.0.0.1:7891"}
    monkeypatch.setattr(urllib.request, f"getproxies_{suffix}", lambda: found, raising=False)
    monkeypatch.setattr(
        urllib.request, f"proxy_bypass_{suffix}", lambda host: host == "inside.example", raising=False
    )
    source = "the system's settings"
    assert choose_proxy("", "https://outside.example") == ChosenProxy("http://127.0.0.1:7890", source)
    assert choose_proxy("", "http://outside.example") == ChosenProxy("socks5://127.0.0.1:7891", source)
    assert choose_proxy("", "https://inside.example") == ChosenProxy()
    monkeypatch.setenv("no_proxy", "exempt.example")
    assert choose_proxy("", "https://exempt.example") == ChosenProxy()


def test_the_text_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:word@127.0.0.1:7890")
    entry = Upstream(name="a", base_url="https://outside.example")
    assert proxy_text(entry) == "through the proxy http://127.0.0.1:7890 (https_proxy)"
