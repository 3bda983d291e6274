"""The emulated camera's ear: faults as JSON datagrams on a UNIX socket in the instance's directory, polled in its loop.

One message `{"fault": NAME, "arguments": {...}}`, one answer: `ok` or the sentence that says what is wrong.
"""

import json
import os
import socket

from hil.realsense.script import MAX_MESSAGE_BYTES, CameraFaultError, Fault, fault, socket_name
from runtime.ring import instance_dir


class FaultSocket:
    """Takes faults for one camera. The caller holds the camera's rings, so a socket found there is a dead process's."""

    def __init__(self, instance: str, camera: str) -> None:
        directory = instance_dir(instance)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = directory / socket_name(camera)
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.bind(f"/proc/self/fd/{handle}/{self._path.name}")  # a UNIX address holds 107 bytes
        finally:
            os.close(handle)

    def poll(self) -> list[Fault]:
        """The faults that arrived; wrong messages are answered and forgotten. Returns at once."""
        faults: list[Fault] = []
        while True:
            try:
                message, sender = self._socket.recvfrom(MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return faults
            try:
                faults.append(_parsed(message))
                answer = "ok"
            except CameraFaultError as error:
                answer = str(error)
            if sender:
                try:
                    self._socket.sendto(answer.encode()[:MAX_MESSAGE_BYTES], sender)
                except OSError:
                    continue  # it did not wait for the answer

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)


def _parsed(message: bytes) -> Fault:
    try:
        data = json.loads(message)
    except ValueError as error:
        raise CameraFaultError(f"not a JSON message: {error}") from error
    if not isinstance(data, dict) or set(data) - {"fault", "arguments"} or not isinstance(data.get("fault"), str):
        raise CameraFaultError('a message is {"fault": NAME, "arguments": {...}}')
    arguments = data.get("arguments", {})
    if not isinstance(arguments, dict):
        raise CameraFaultError("'arguments' is a mapping of names to numbers")
    return fault(data["fault"], arguments)
