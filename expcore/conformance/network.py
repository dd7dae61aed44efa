"""The network interfaces of this process: whether a server could be reached from outside."""

from __future__ import annotations

import fcntl
import socket
import struct

_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_SIOCGIFFLAGS = 0x8913


def alone() -> bool:
    """Whether no interface but loopback is up, as in a network namespace of one's own.

    The kernel is asked; /sys may be mounted for another namespace.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            try:
                # struct ifreq: the name in 16 bytes, then the flags.
                answer = fcntl.ioctl(asked, _SIOCGIFFLAGS, struct.pack("256s", name.encode()))
            except OSError:
                continue  # gone between listing and asking
            flags = struct.unpack_from("H", answer, 16)[0]
            if flags & _IFF_UP and not flags & _IFF_LOOPBACK:
                return False
    return True
