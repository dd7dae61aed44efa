"""A network of one's own, in which nobody else can reach the servers of a cluster."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

from expcore.errors import ServerUnavailable

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_IFF_RUNNING = 0x40


def leave_network() -> None:
    """Moves this process, and all that it will start, into a network with loopback alone.

    As root, or else by a user namespace in which the user stays who they are. To be called before the process
    has threads.

    Raises:
        ServerUnavailable: the system does not allow it, or has no such thing.
    """
    if sys.platform != "linux":
        raise _refused(f"{sys.platform} has no network namespaces")
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET) != 0:
        if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            raise _refused(os.strerror(ctypes.get_errno()))
        _stay(uid, gid)
    _bring_loopback_up()


def _stay(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        # struct ifreq: the name in 16 bytes, then the flags.
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP | _IFF_RUNNING))


def _refused(why: str) -> ServerUnavailable:
    return ServerUnavailable(
        f"a network of its own cannot be made for the cluster ({why}); TensorFlow's servers would listen on "
        "every interface, unauthenticated: allow that with --allow-server"
    )
