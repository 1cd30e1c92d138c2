"""The address that the front listens on: who can reach it, and how a browser names it."""

import ipaddress


def is_loopback(host: str) -> bool:
    """True when only this machine can reach `host`: localhost, a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def page_url(host: str, port: int) -> str:
    """Where the page of a front that listens there is found; an IPv6 address gets its brackets."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
