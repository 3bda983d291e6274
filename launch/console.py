"""The line between the supervisor and other terminals: msgpack over ZMQ on a UNIX socket that only this user can open.

`ask` sends one request and waits for its answer, which may come late: a stop is answered when the arms are still. A
request that cannot be understood is answered with the reason; sizes are bounded before anything is allocated.
"""

import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import zmq

from runtime.errors import SinewError
from runtime.ring import instance_dir

MAX_MESSAGE_BYTES = 16_384
MAX_TEXT = 4_000


class ConsoleError(SinewError):
    """The supervisor cannot be reached, or did not answer in time."""


@dataclass(frozen=True)
class Request:
    """One request of an operator: `verb`, its arguments, and to whom the answer goes."""

    verb: str
    arguments: dict[str, Any]
    peer: bytes
    number: int


def address(instance: str) -> str:
    return f"ipc://{instance_dir(instance) / 'supervisor.sock'}"


def sessions() -> list[str]:
    """Instance names under which a supervisor listens now; the socket of a killed one is none."""
    here = instance_dir("x").parent
    return sorted(
        path.parent.name.removeprefix("sinew.") for path in here.glob("sinew.*/supervisor.sock") if _listens(path)
    )


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _unpack(raw: bytes) -> dict[str, Any]:
    data = msgpack.unpackb(raw, max_map_len=64, max_array_len=256, max_str_len=MAX_TEXT, max_ext_len=0)
    if not isinstance(data, dict):
        raise ValueError("a message is a map")
    return data


class ConsoleServer:
    """The supervisor's end: `poll` never blocks; `answer` may come in a later turn."""

    def __init__(self, instance: str) -> None:
        self._path = instance_dir(instance) / "supervisor.sock"
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.RCVHWM, 64)
        self._socket.setsockopt(zmq.SNDHWM, 64)
        self._socket.bind(address(instance))
        self.refused = 0

    def poll(self, timeout_ms: int = 0) -> list[Request]:
        """The requests that arrived; waits up to `timeout_ms` for the first."""
        found: list[Request] = []
        if timeout_ms and not self._socket.poll(timeout_ms):
            return found
        while len(found) < 64:
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            peer, number = parts[0], 0
            try:
                if len(parts) != 2:
                    raise ValueError("a request is one message")
                data = _unpack(parts[1])
                number = int(data["number"])
                arguments = data["arguments"]
                if not isinstance(arguments, dict) or not isinstance(data["verb"], str):
                    raise ValueError("verb is text, arguments a map")
                found.append(Request(data["verb"], arguments, peer, number))
            except (ValueError, KeyError, TypeError, msgpack.exceptions.UnpackException) as error:
                self.refused += 1
                self._send(peer, {"number": number, "ok": False, "text": f"not understood: {error}"})
        return found

    def answer(self, request: Request, *, ok: bool, text: str, **data: Any) -> None:
        """Answer one request; a peer that has gone costs nothing."""
        self._send(request.peer, {"number": request.number, "ok": ok, "text": text[:MAX_TEXT], "data": data})

    def _send(self, peer: bytes, message: dict[str, Any]) -> None:
        try:
            self._socket.send_multipart([peer, msgpack.packb(message)], zmq.DONTWAIT)
        except zmq.ZMQError:
            self.refused += 1

    def close(self) -> None:
        self._socket.close()
        self._context.term()
        self._path.unlink(missing_ok=True)


def ask(instance: str, verb: str, timeout_s: float, **arguments: Any) -> dict[str, Any]:
    """Send one request to the running supervisor and wait for its answer: {"ok", "text", "data"}.

    Raises:
        ConsoleError: nobody runs under this instance name, or no answer came in time.
    """
    if not _listens(instance_dir(instance) / "supervisor.sock"):
        raise ConsoleError(f"nothing runs as '{instance}': start it with 'sinew run', or name another with --instance")
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, 1 << 20)
        socket.connect(address(instance))
        number = secrets.randbits(31)
        socket.send(msgpack.packb({"number": number, "verb": verb, "arguments": arguments}))
        if not socket.poll(int(timeout_s * 1000)):
            raise ConsoleError(
                f"the supervisor of '{instance}' did not answer '{verb}' within {timeout_s:g} s. If it hangs, rt stops the "
                "arms by itself once the supervisor's heartbeat is old; the hardware emergency stop always works"
            )
        answer = _unpack(socket.recv())
        if answer.get("number") not in (number, 0):
            raise ConsoleError(f"the supervisor of '{instance}' answered another request: {answer}")
        return answer
