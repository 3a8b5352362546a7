"""Which addresses requests on behalf of people may reach: public ones, and the networks that an operator allows.

`is_private` of the standard library does not answer this: it lets pass 100.64.0.1, the NAT64 and 6to4 forms of private
addresses and fec0::/10. So what is denied is written out (IANA special-purpose registries, RFC 6890), and what the
library knows comes on top.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DENIED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "::/96",            # unspecified, loopback, and IPv4 addresses in the oldest notation
        "64:ff9b::/96",     # NAT64: 64:ff9b::a9fe:a9fe is 169.254.169.254
        "64:ff9b:1::/48",   # NAT64 of a network's own choice
        "100::/64",
        "2001::/23",        # protocol assignments, with Teredo (2001::/32) and ORCHID
        "2001:db8::/32",
        "2002::/16",        # 6to4: 2002:7f00:1:: is 127.0.0.1
        "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
        "fec0::/10",        # site-local, long deprecated and still routed in places
        "ff00::/8",
    )
)  # fmt: skip


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks written as CIDR; a single address is a network of one. Raises ValueError."""
    return tuple(ip_network(text.strip(), strict=False) for text in texts)


def may_be_reached(address: str, allowed: Iterable[Network]) -> bool:
    """Say whether this numeric address may be connected to."""
    plain = _unwrapped(ip_address(address.partition("%")[0]))
    if any(plain in network for network in allowed if network.version == plain.version):
        return True
    if any(plain in network for network in DENIED if network.version == plain.version):
        return False
    return plain.is_global and not (plain.is_multicast or plain.is_reserved)


def _unwrapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
