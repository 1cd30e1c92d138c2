"""Where a request comes from when a proxy may stand in between: its address, and whether by TLS."""

import functools
import ipaddress

from aiohttp import web

from engine.config.schema_web import WebSection, listed

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _trusted(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


@functools.lru_cache(maxsize=4)
def _networks(trusted_proxies: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in listed(trusted_proxies))


def address_of(request: web.Request, limits: WebSection) -> str:
    """The nearest address that no trusted proxy has; headers of others are not believed."""
    networks = _networks(limits.trusted_proxies)
    address = request.remote or ""
    told = ",".join(request.headers.getall("X-Forwarded-For", []))
    for before in reversed(listed(told)):
        if not _trusted(address, networks):
            break
        address = before
    return address[:64]


def is_secure(request: web.Request, limits: WebSection) -> bool:
    """True when the client speaks TLS, to us or to a trusted proxy."""
    if request.secure:
        return True
    proxied = _trusted(request.remote or "", _networks(limits.trusted_proxies))
    return proxied and request.headers.get("X-Forwarded-Proto", "").lower() == "https"
