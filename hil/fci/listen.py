"""A listening socket on a loopback address, or a refusal that names the process already there.

The ports of the interface are fixed (arm 1337, hand 1338), so a stale emulator would silently serve the next client:
a busy port is always a refusal, never a retry.
"""

import ipaddress
import os
import socket
import struct
from pathlib import Path

from runtime.errors import SinewError

_LISTENING = "0A"  # st column of /proc/net/tcp


class PortError(SinewError):
    """The emulated robot cannot listen where it was asked to."""


def listen(host: str, port: int) -> socket.socket:
    """A non-blocking TCP socket that listens at `host`:`port`.

    Raises:
        PortError: the address is not loopback (the emulator has no access control), or the port is taken: the holder's
            pid and command are named where the system lets us see them.
    """
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise PortError(f"emulated robot at '{host}': allowed are loopback addresses 127.0.0.1 to 127.255.255.254 only")
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier run in TIME_WAIT
        server.bind((host, port))
        server.listen(4)
        server.setblocking(False)
    except OSError as error:
        server.close()
        raise PortError(f"{host}:{port}: {error.strerror}{_who(host, port)}") from error
    return server


def _who(host: str, port: int) -> str:
    pid = port_holder(host, port)
    if pid is None:
        return ": the holder cannot be seen from here (another user or container?)"
    return f": held by process {pid} ({command_line(pid)}): end it first ('kill {pid}'), or use another address"


def port_holder(host: str, port: int) -> int | None:
    """The pid of a process of this machine that listens at the address (or at 0.0.0.0), or None if none is visible."""
    wanted = {_hexadecimal(host, port), _hexadecimal("0.0.0.0", port)}  # noqa: S104 compared, never bound
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] in wanted and fields[3] == _LISTENING:
            inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) in inodes:
                    return int(process.name)
        except OSError:
            continue  # ended meanwhile, or not ours to see
    return None


def _hexadecimal(host: str, port: int) -> str:
    """As /proc/net/tcp writes it: the address as a native-endian word."""
    return f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"


def command_line(pid: int) -> str:
    """A process's command line in one line of at most 120 characters; its absence is said."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "ended meanwhile"
    return " ".join(text.split())[:120] or "no command line"
