"""One robot, one driver: a lock keyed on the resolved address, so that no second name opens the same arm."""

import errno
import os
import socket
import struct

from drivers.franka.errors import NoConnectionError, RobotHeldError

ARM_PORT = 1337


def resolve(host: str) -> str:
    """The IPv4 address of a host name or address. Raises NoConnectionError when there is none."""
    try:
        found = socket.getaddrinfo(host, ARM_PORT, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise NoConnectionError(
            f"robot '{host}': the name cannot be resolved ({error.strerror or error}): check 'host' in the cell file"
        ) from error
    return str(found[0][4][0])


class RobotLock:
    """Holds a robot for this process until `release`, or until the process ends however it ends.

    An abstract UNIX socket: nothing stays behind after a kill, and the kernel tells who holds it.

    Raises:
        RobotHeldError: another driver holds the robot; its pid is named.
    """

    def __init__(self, host: str, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        name = f"\0sinew.franka.{address}"
        try:
            self._socket.bind(name)
            self._socket.listen(1)  # a second driver connects only to learn our pid
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise
            raise RobotHeldError(
                f"robot '{host}' (address {address}) is held by process {_holder(name)}: one robot has one driver: "
                "stop that process first"
            ) from None

    def release(self) -> None:
        """Let another driver have the robot."""
        self._socket.close()


def _holder(name: str) -> str:
    """Pid of the process that listens on an abstract socket, or 'unknown' if it is just going."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.setblocking(False)
            probe.connect(name)
            pid = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        except OSError:
            return "unknown"
    return f"{pid} (this process)" if pid == os.getpid() else str(pid)
