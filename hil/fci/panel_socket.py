"""The panel's wire: JSON lines over a UNIX socket in the instance's directory, polled inside the robot's loop.

One request per line, one answer per line: `{"id": 1, "do": ...}` gives `{"id": 1, "ok": true, "result": ...}` or
`{"id": 1, "ok": false, "error": "sentence"}`. Without a client a poll costs one system call; there is no thread, so the
loop is never disturbed by more than one request's work. Only the user who runs the cell can reach it (directory 0700).
"""

import json
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.errors import SinewError
from runtime.ring import instance_dir

SOCKET_NAME = "cell.sock"
MAX_REQUEST_BYTES = 8192
MAX_ANSWER_BYTES = 1 << 17  # fits into the socket buffer at once
MAX_CLIENTS = 8

Handler = Callable[[dict[str, Any]], object]


class PanelError(SinewError):
    """A request to the cell is wrong or cannot be done; the text says what is allowed."""


@contextmanager
def socket_address(instance: str) -> Iterator[str]:
    """The socket's path in a form short enough for any instance name (a UNIX address holds 107 bytes)."""
    directory = os.open(instance_dir(instance), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_NAME}"
    finally:
        os.close(directory)


@dataclass
class _Client:
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)


class PanelSocket:
    """Serves `handle` to the clients of one running cell.

    The caller holds the instance (it writes the ring `scene.state`), so a socket found there is a dead cell's and goes.

    Args:
        instance: name of the running cell.
        handle: takes a request's fields, returns what JSON can carry, raises SinewError to refuse.
        log: takes a sentence when a client misbehaves.
    """

    def __init__(self, instance: str, handle: Handler, log: Callable[[str], None]) -> None:
        self._handle, self._log = handle, log
        self.path: Path = instance_dir(instance) / SOCKET_NAME
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        with socket_address(instance) as address:
            self._listener.bind(address)
        self._listener.listen(MAX_CLIENTS)
        self._clients: dict[int, _Client] = {}
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)

    def fileno(self) -> int:
        """Readable when there is something to poll: a loop that sleeps may wait for it."""
        return self._epoll.fileno()

    def poll(self) -> None:
        """Serve what has arrived; returns at once."""
        for descriptor, _ in self._epoll.poll(0):
            if descriptor == self._listener.fileno():
                self._accept()
            elif descriptor in self._clients:
                self._serve(self._clients[descriptor])

    def close(self) -> None:
        """Drop everyone and remove the socket."""
        for client in list(self._clients.values()):
            self._forget(client, None)
        self._epoll.close()
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # it left before we looked
        if len(self._clients) >= MAX_CLIENTS:
            connection.close()
            self._log(f"panel: refused a client: {MAX_CLIENTS} are connected")
            return
        connection.setblocking(False)
        self._clients[connection.fileno()] = _Client(connection)
        self._epoll.register(connection, select.EPOLLIN)

    def _serve(self, client: _Client) -> None:
        try:
            data = client.connection.recv(MAX_REQUEST_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._forget(client, f"lost: {error.strerror}")
            return
        if not data:
            self._forget(client, None)
            return
        client.received += data
        *lines, rest = client.received.split(b"\n")
        client.received = rest
        if len(rest) > MAX_REQUEST_BYTES:
            self._forget(client, f"a request of more than {MAX_REQUEST_BYTES} bytes")
            return
        for line in lines:
            text = json.dumps(self._answer(line)).encode() + b"\n"
            if len(text) > MAX_ANSWER_BYTES:
                text = json.dumps({"id": None, "ok": False, "error": f"answer of {len(text)} bytes"}).encode() + b"\n"
            try:
                sent = client.connection.send(text)
            except OSError as error:
                self._forget(client, f"lost while answering: {error.strerror}")
                return
            if sent != len(text):
                self._forget(client, "does not read its answers")
                return

    def _answer(self, line: bytes | bytearray) -> dict[str, object]:
        number = None
        try:
            try:
                request = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise PanelError(f"not JSON: {error}") from error
            if not isinstance(request, dict):
                raise PanelError(f"a request is an object with the key 'do', this is {type(request).__name__}")
            number = request.pop("id", None)
            if not isinstance(number, int | None):
                number = None
                raise PanelError("'id' must be a whole number")
            return {"id": number, "ok": True, "result": self._handle(request)}
        except SinewError as error:
            return {"id": number, "ok": False, "error": str(error)}

    def _forget(self, client: _Client, reason: str | None) -> None:
        if reason is not None:
            self._log(f"panel: dropped a client: {reason}")
        del self._clients[client.connection.fileno()]
        client.connection.close()
