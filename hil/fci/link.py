"""One server's connections: a TCP listener, at most one client, and the UDP socket to it.

Nothing here blocks. A client that breaks the protocol is dropped with the reason in `events`, and the server lives on.
A dropped or refused connection is reset, not closed politely: libfranka waits for ever on a closed socket that never
carried the answer, but reports a reset at once.
"""

import select
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from hil.fci.listen import listen
from runtime.clock import Clock
from runtime.errors import SinewError

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds
_READ_BYTES = 4096
_SEND_BUFFER_BYTES = 1 << 18  # the longest answer is the robot's URDF, some ten thousand bytes
_MAX_DATAGRAMS = 64  # read in one turn: a flood from outside must not stop the world

M = TypeVar("M")


class Link(Generic[M]):
    """Listener and the one client of an emulated device.

    Args:
        name: how events call it, e.g. `arm 127.0.0.1:1337`.
        host, port: where to listen; a busy port is an error that names the holder (`hil.fci.listen`).
        take: takes one message off the received bytes, None while incomplete, raises SinewError when they are none; it
            decides from the header alone, so no more than one incomplete message is ever kept.
        datagram_bytes: the only size of datagram that a client may send.
        report: called with each sentence about connections.
        clock: stamps the accepted client.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        take: Callable[[bytearray], M | None],
        datagram_bytes: int,
        report: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self.name = f"{name} {host}:{port}"
        self._host, self._take, self._report = host, take, report
        self._datagram_bytes = datagram_bytes
        self._listener = listen(host, port)
        self._tcp: socket.socket | None = None
        self._udp: socket.socket | None = None
        self._peer = ""
        self._peer_udp = ("", 0)
        self._received = bytearray()
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._readable: set[int] = set()  # descriptors, as found by the last poll
        self._clock = clock
        self.connected_ns = 0  # when the present client was accepted
        self.connections = 0  # clients accepted since start
        self.refused = 0  # clients refused because one was connected
        self.dropped = 0  # clients dropped by us
        self.bad_datagrams = 0

    @property
    def connected(self) -> bool:
        """A client holds the TCP connection."""
        return self._tcp is not None

    @property
    def streaming(self) -> bool:
        """States can be sent: the client has said its UDP port."""
        return self._udp is not None

    @property
    def udp_port(self) -> int:
        """Where the client's datagrams are awaited; 0 without a client."""
        return int(self._udp.getsockname()[1]) if self._udp is not None else 0

    @property
    def descriptor(self) -> int:
        """Readable whenever `poll` has something to do: for a loop that sleeps until then."""
        return self._epoll.fileno()

    def poll(self) -> Iterator[M]:
        """Read, then accept or refuse: yields whole messages. Afterwards `connected` says whether a client is there.

        It may be another one than before: `connections` counts.
        """
        self._readable = {descriptor for descriptor, _ in self._epoll.poll(0)}
        yield from self._messages()
        if self._listener.fileno() in self._readable:
            if self._tcp is not None and self._has_left(self._tcp):
                self._forget("closed the connection")  # a client that comes back at once must not meet its own ghost
            self._accept()

    def _messages(self) -> Iterator[M]:
        if self._tcp is None or self._tcp.fileno() not in self._readable:
            return
        try:
            chunk = self._tcp.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._forget(f"lost: {error.strerror}")
            return
        if not chunk:
            self._forget("closed the connection" + (" within a message" if self._received else ""))
            return
        self._received += chunk
        while self._tcp is not None and self._received:
            try:
                message = self._take(self._received)
            except SinewError as error:
                self.drop(f"broke the protocol: {error}")
                return
            if message is None:
                return
            yield message

    def open_udp(self, port: int) -> None:
        """Send states to the client's address at `port` from now on."""
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._udp.bind((self._host, 0))
        self._peer_udp = (self._peer, port)
        self._epoll.register(self._udp.fileno(), select.EPOLLIN)

    def datagrams(self) -> Iterator[bytes]:
        """Datagrams found by the last `poll`; those of a wrong size or from another address are counted, not passed."""
        if self._udp is None or self._udp.fileno() not in self._readable:
            return
        for _ in range(_MAX_DATAGRAMS):
            try:
                data, address = self._udp.recvfrom(2048)
            except OSError:  # nothing there, or the client's port is gone: TCP will tell
                return
            if len(data) != self._datagram_bytes or address != self._peer_udp:
                self.bad_datagrams += 1
                if self.bad_datagrams == 1:
                    self._report(
                        f"{self.name}: ignored a datagram of {len(data)} bytes from {address[0]}:{address[1]}: "
                        f"a command has {self._datagram_bytes} and comes from {self._peer_udp[0]}:{self._peer_udp[1]}"
                    )
                continue
            yield data

    def send(self, message: bytes) -> None:
        """Send over TCP; a client that does not read its answers is dropped (answers are small)."""
        if self._tcp is None:
            return
        try:
            sent = self._tcp.send(message)
        except OSError as error:
            self._forget(f"lost while answering: {error.strerror}")
            return
        if sent != len(message):
            self.drop(f"does not read its answers: {len(message) - sent} bytes unsent")

    def send_datagram(self, data: bytes | memoryview) -> None:
        """Send over UDP; nobody there is no error, as on a real cable."""
        if self._udp is not None:
            try:
                self._udp.sendto(data, self._peer_udp)
            except OSError:
                pass

    def drop(self, reason: str) -> None:
        """Reset the client's connection."""
        if self._tcp is not None:
            self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.dropped += 1
            self._forget(reason)

    def finish(self, reason: str) -> None:
        """Close the connection after what was sent has been delivered."""
        self._forget(reason)

    def close(self) -> None:
        """End everything, the listener too."""
        self.drop("is dropped: the server ends")
        self._listener.close()
        self._epoll.close()

    @staticmethod
    def _has_left(connection: socket.socket) -> bool:
        try:
            return connection.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except OSError:
            return
        if self._tcp is not None:
            # Counted and told before the client can know of it: whoever asks then finds it here.
            self.refused += 1
            self._report(f"{self.name}: refused a second client {address[0]}:{address[1]}: {self._peer} is connected")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._tcp, self._peer = connection, address[0]
        self.connections += 1
        self.connected_ns = self._clock.now_ns()
        self._report(f"{self.name}: client {address[0]}:{address[1]} connected")
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _forget(self, reason: str) -> None:
        for one in (self._tcp, self._udp):
            if one is not None:
                one.close()  # leaves the epoll by itself
        self._tcp = self._udp = None
        self._received.clear()
        self._report(f"{self.name}: client {self._peer} {reason}")
