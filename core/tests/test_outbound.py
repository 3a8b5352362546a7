"""What leaves the platform: to which addresses, how far, how long; tested against real sockets."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from core.outbound import Refused, Unreachable, request
from core.outbound.addresses import may_be_reached, networks
from core.tests.listeners import Received, Reply, listening

FORBIDDEN = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::",
    "2002:a9fe:a9fe::", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "172.32.0.1", "::ffff:8.8.8.8", "2606:4700::1111",
          "2a00:1450:4001::1")  # fmt: skip
# What people write to reach this machine past a check of the text.
WRITTEN = (
    "http://127.0.0.1", "http://2130706433", "http://0", "http://0x7f.1", "http://0x7f000001", "http://017700000001",
    "http://127.1", "http://localhost", "http://LOCALHOST", "http://[::1]", "http://[::]", "http://[::ffff:127.0.0.1]",
    "http://[::ffff:7f00:1]", "http://[64:ff9b::7f00:1]", "http://[64:ff9b::a9fe:a9fe]", "http://[2002:7f00:1::]",
    "http://[fec0::1]", "http://[::127.0.0.1]", "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1",
    "http://224.0.0.1", "https://127.0.0.1", "http://127。0。0。1", "http://①②⑦.0.0.1",
)  # fmt: skip
MALFORMED = (
    "ftp://example.org/", "file:///etc/passwd", "gopher://example.org", "example.org", "//example.org", "http://",
    "http:///path", "http://user:word@example.org/", "http://user@example.org/", "http://example.org:99999/",
    "http://example.org/a b", "http://example.org/\r\nHost: other", "http://exa\tmple.org/", "http://[::1",
    "http://xn--\u0378.example/", "",
)  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_address__special__may_not_be_reached(address: str) -> None:
    assert not may_be_reached(address, ())


@pytest.mark.parametrize("address", PUBLIC)
def test_address__public__may_be_reached(address: str) -> None:
    assert may_be_reached(address, ())


def test_address__in_an_allowed_network__may_be_reached_and_its_neighbour_not() -> None:
    allowed = networks(["10.1.0.0/16", "fd00:1::/32", "192.168.7.7"])

    reached = [address for address in ("10.1.2.3", "::ffff:10.1.2.3", "10.2.0.1", "fd00:1::9", "fd00:2::9",
                                       "192.168.7.7", "192.168.7.8") if may_be_reached(address, allowed)]  # fmt: skip

    assert reached == ["10.1.2.3", "::ffff:10.1.2.3", "fd00:1::9", "192.168.7.7"]


@pytest.mark.parametrize("url", WRITTEN)
def test_request__to_this_machine_however_written__is_not_made(url: str, settings: Any) -> None:
    # given somebody who listens on a port that is allowed, so that only the address can be what is refused
    with listening(settings) as listener:
        settings.OUTBOUND_ALLOWED_PRIVATE_CIDRS = []
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")

        with pytest.raises((Refused, Unreachable)) as refused:
            request("GET", f"{scheme}://{host}:{listener.port}{slash}{path}", timeout=3)

    # then it was refused, or is no name at all to this system's resolver
    assert isinstance(refused.value, Refused) or "cannot be resolved" in str(refused.value)
    assert listener.received == []


@pytest.mark.parametrize("url", MALFORMED)
def test_request__to_no_address__is_refused(url: str) -> None:
    with pytest.raises(Refused):
        request("GET", url)


def test_request__to_a_port_that_is_not_allowed__is_refused(settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_PRIVATE_CIDRS = ["127.0.0.0/8"]

    with pytest.raises(Refused, match="port 22 is not among OUTBOUND_ALLOWED_PORTS"):
        request("GET", "http://127.0.0.1:22/")


def test_request__to_a_name_of_which_one_address_is_private__is_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)

    with pytest.raises(Refused, match=r"hook\.example leads to 10\.0\.0\.1"):
        request("GET", "http://hook.example/")


def test_request__to_a_name_that_resolves_otherwise_later__goes_to_the_address_that_was_checked(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a name that is public the first time it is asked for and this machine the second time
    with listening(settings) as listener:
        settings.OUTBOUND_ALLOWED_PRIVATE_CIDRS = ["198.51.100.0/24"]
        given = iter(["198.51.100.1", "127.0.0.1", "127.0.0.1"])
        real = socket.getaddrinfo
        connected: list[str] = []

        def resolve(host: str, port: int, *args: Any, **more: Any) -> Any:
            return (
                real(next(given), port, *args, **more) if host == "rebind.example" else real(host, port, *args, **more)
            )

        def connect(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
            connected.append(address[0])
            raise OSError("no route")

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        monkeypatch.setattr(socket, "create_connection", connect)

        with pytest.raises(Unreachable):
            request("GET", f"http://rebind.example:{listener.port}/")

    assert connected == ["198.51.100.1"]


def test_request__answered_with_a_redirect__is_not_followed(settings: Any) -> None:
    with listening(settings) as other, listening(settings, lambda _: Reply(302, b"", {"Location": other.url})) as first:
        answer = request("POST", first.url, body=b"{}")

    assert (answer.status, answer.headers["location"]) == (302, other.url)
    assert (len(first.received), len(other.received)) == (1, 0)


def test_request__with_proxies_in_the_environment__ignores_them(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with listening(settings) as listener:
        answer = request("POST", f"{listener.url}/hook/ü?q=ä#part", headers={"X-Id": "1"}, body="{ö}".encode())

    (received,) = listener.received
    assert (answer.status, answer.text) == (200, "ok")
    assert (received.path, received.headers["x-id"], received.body.decode()) == ("/hook/%C3%BC?q=%C3%A4", "1", "{ö}")
    assert received.headers["host"] == f"127.0.0.1:{listener.port}"


def test_request__answered_at_length__reads_the_first_64_kilobytes(settings: Any) -> None:
    with listening(settings, lambda _: Reply(body=b"x" * 1_000_000)) as listener:
        answer = request("GET", listener.url)

    assert len(answer.body) == 64 * 1024


@pytest.mark.parametrize("reply", [Reply(seconds=3), Reply(body=b"x" * 100, drip=0.1)], ids=["late", "dripping"])
def test_request__whose_answer_takes_too_long__ends_at_the_deadline(settings: Any, reply: Reply) -> None:
    with listening(settings, lambda _: reply) as listener:
        begun = time.monotonic()
        with pytest.raises(Unreachable, match="in time"):
            request("GET", listener.url, timeout=0.5)

    assert time.monotonic() - begun < 2.5


def test_request__with_a_line_break_in_a_header__is_not_sent(settings: Any) -> None:
    with listening(settings) as listener, pytest.raises(Refused):
        request("POST", listener.url, headers={"X-Title": "a\r\nX-Admin: yes"})

    assert listener.received == []


def test_request__answered_with_no_http__is_unreachable(settings: Any) -> None:
    def respond(_: Received) -> Reply:
        raise ConnectionAbortedError

    with listening(settings, respond) as listener, pytest.raises(Unreachable):
        request("GET", listener.url)


def test_request__to_nobody__is_unreachable(settings: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    settings.OUTBOUND_ALLOWED_PRIVATE_CIDRS, settings.OUTBOUND_ALLOWED_PORTS = ["127.0.0.1"], [str(port)]

    with pytest.raises(Unreachable, match="cannot be reached"):
        request("GET", f"http://127.0.0.1:{port}/", timeout=2)
