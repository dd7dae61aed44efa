"""Where TensorFlow's servers may listen, and where they do: the rule, and the system's own tables."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from expcore.errors import ServerUnavailable
from expcore.tf_config import is_loopback

_LOG = logging.getLogger(__name__)

ALLOW = "EXPCORE_ALLOW_SERVER"
_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_SIOCGIFFLAGS = 0x8913
_LISTEN = "0A"


def check_allowed(cluster: Mapping[str, Sequence[str]], address: str) -> None:
    """Checks that a server of TensorFlow may be started here.

    TensorFlow's servers listen on every interface of the machine and ask for no password, whatever address
    the cluster names. A cluster of other addresses was asked for; one of loopback addresses would be open by
    surprise and is refused, unless no other interface is up or ``EXPCORE_ALLOW_SERVER=1``
    (``--allow-server``) says so.

    Args:
        cluster: job names with addresses.
        address: this process's.

    Raises:
        ServerUnavailable: not allowed by this rule.
    """
    local = all(is_loopback(a) for addresses in cluster.values() for a in addresses)
    others = other_interfaces()
    if not local or not others or os.environ.get(ALLOW, "") == "1":
        return
    raise ServerUnavailable(
        f"server {address!r}: TensorFlow's server would listen on every interface ({', '.join(others)} too), "
        f"unauthenticated, although the cluster names only loopback addresses; run it in a network namespace "
        f"of its own (unshare -n), or allow it with --allow-server or {ALLOW}=1"
    )


def warn_of(task: str, address: str) -> None:
    """Says what the server of a task, which is running, listens on; others are where not all is loopback."""
    port = int(address.rpartition(":")[2])
    where = ", ".join(listening(port)) or f"port {port} of every interface"
    if other_interfaces():
        _LOG.warning(
            "the TensorFlow server of %s takes any command from anybody who reaches it, on %s", task, where
        )
    else:
        _LOG.info(
            "the TensorFlow server of %s can be reached from this network namespace alone, on %s", task, where
        )


def interfaces() -> Iterator[tuple[str, int]]:
    """Yields name and flags of the network interfaces of this process's network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            try:
                # struct ifreq: the name in 16 bytes, then the flags.
                answer = fcntl.ioctl(asked, _SIOCGIFFLAGS, struct.pack("256s", name.encode()))
            except OSError:
                continue  # gone between listing and asking
            yield name, struct.unpack_from("H", answer, 16)[0]


def other_interfaces() -> list[str]:
    """Returns the network interfaces but loopback that are up."""
    return sorted(name for name, flags in interfaces() if flags & _IFF_UP and not flags & _IFF_LOOPBACK)


def listening(port: int, root: str = "/proc/net") -> list[str]:
    """Returns the addresses on which this machine listens at a port, by the system's own table."""
    found = []
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        path = Path(root) / name
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            address, _, hex_port = fields[1].partition(":")
            if fields[3] == _LISTEN and int(hex_port, 16) == port:
                # Each group of four bytes stands in the machine's order, which is little-endian here.
                raw = b"".join(bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8))
                host = socket.inet_ntop(family, raw)
                found.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return found
