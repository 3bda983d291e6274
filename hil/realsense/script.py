"""What an emulated camera can be made to suffer, planned for a frame or raised while it runs.

`camera_fault(instance, camera, name, **arguments)` raises one on a running `hil.realsense.process`; a `Script` plans
them by the count of rendered frames, so that a test gives the same answer every time.
"""

import json
import math
import os
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.errors import SinewError
from runtime.ring import instance_dir

MAX_MESSAGE_BYTES = 4096
ANSWER_WITHIN_S = 5.0


class CameraFaultError(SinewError):
    """No such fault, an argument it does not take, or no emulated camera to raise it on."""


@dataclass(frozen=True)
class Argument:
    """A number that a fault takes; limits are inclusive."""

    name: str
    default: float
    low: float
    high: float


@dataclass(frozen=True)
class Kind:
    """One row of the table."""

    sentence: str
    arguments: tuple[Argument, ...] = ()


def _frames(default: int) -> Argument:
    return Argument("frames", default, 1, 100_000)


FAULTS: dict[str, Kind] = {
    "drop": Kind("frames are lost on the way", (_frames(1),)),
    "drop_depth": Kind("framesets come without their depth image", (_frames(1),)),
    "freeze": Kind("the same pixels come with fresh numbers and stamps", (_frames(30),)),
    "stall": Kind("no frame comes for a number of frame periods", (_frames(30),)),
    "deaf": Kind("no frame comes until the device is reset or replugged"),
    "late": Kind("frames arrive late, in order", (_frames(1), Argument("by_ms", 60, 1, 5000))),
    "out_of_order": Kind("two frames change places"),
    "duplicate": Kind("frames are delivered twice", (_frames(1),)),
    "clock_jump": Kind("the camera's clock is off for a while", (_frames(10), Argument("by_ms", 200, -5000, 5000))),
    "unplug": Kind("the cable is pulled"),
    "replug": Kind("the camera is plugged in again, as itself"),
    "wrong_serial": Kind("another camera of the same model is plugged in instead"),
    "usb2": Kind("the camera is plugged in again on a USB 2 cable"),
    "missing_profile": Kind("the camera is plugged in again and offers only half the picture's size"),
}


@dataclass(frozen=True)
class Fault:
    """One fault with all its arguments. Build it with `fault`."""

    name: str
    frames: int = 0
    by_ms: float = 0.0


def fault(name: str, arguments: Mapping[str, object] | None = None) -> Fault:
    """A checked fault.

    Raises:
        CameraFaultError: unknown name or argument (the known ones are listed), or a value outside its limits.
    """
    if name not in FAULTS:
        raise CameraFaultError(f"no camera fault '{name}': the faults are {', '.join(FAULTS)}")
    given, values = dict(arguments or {}), {}
    for argument in FAULTS[name].arguments:
        value = given.pop(argument.name, argument.default)
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if not argument.low <= number <= argument.high:
            raise CameraFaultError(
                f"camera fault '{name}': {argument.name} is {value!r}, allowed are {argument.low:g} to {argument.high:g}"
            )
        values[argument.name] = number
    if given:
        known = [argument.name for argument in FAULTS[name].arguments]
        raise CameraFaultError(f"camera fault '{name}' takes no {sorted(given)}: it takes {known or 'nothing'}")
    return Fault(name, int(values.get("frames", 0)), float(values.get("by_ms", 0.0)))


class Script:
    """Faults by the count of rendered frames (the first is 0)."""

    def __init__(self, plan: Mapping[int, tuple[Fault, ...]] | None = None) -> None:
        self._plan = dict(plan or {})

    @classmethod
    def seeded(cls, seed: int, frames: int, faults: int, names: tuple[str, ...] = tuple(FAULTS)) -> "Script":
        """`faults` faults with default arguments at random frames of the first `frames`; same seed, same script."""
        generator = random.Random(seed)
        plan: dict[int, tuple[Fault, ...]] = {}
        for _ in range(faults):
            at = generator.randrange(frames)
            plan[at] = (*plan.get(at, ()), fault(generator.choice(names)))
        return cls(plan)

    def due(self, frame: int) -> tuple[Fault, ...]:
        """The faults that begin with this frame."""
        return self._plan.get(frame, ())


def socket_name(camera: str) -> str:
    """Name of the control socket in the instance's directory (which only its user can enter)."""
    return f"scene.{camera}.script.sock"


def camera_fault(instance: str, camera: str, name: str, **arguments: float) -> None:
    """Raise a fault on a running emulated camera; returns when it has taken it.

    Raises:
        CameraFaultError: the fault is not known or wrongly given, no emulated camera of that name runs, or it is silent.
    """
    fault(name, arguments)  # refused here, with the same sentence, before anything is sent
    message = json.dumps({"fault": name, "arguments": arguments}).encode()
    where = f"emulated camera '{camera}' of instance '{instance}'"
    try:
        directory = os.open(instance_dir(instance), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise CameraFaultError(f"{where} does not run: {error.strerror}: start it with 'sinew cell'") from error
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
            client.settimeout(ANSWER_WITHIN_S)
            client.bind("")  # a nameless address that the answer is sent to
            client.sendto(message, f"/proc/self/fd/{directory}/{socket_name(camera)}")
            answer = client.recv(MAX_MESSAGE_BYTES).decode()
    except TimeoutError as error:
        raise CameraFaultError(f"{where} did not answer within {ANSWER_WITHIN_S:g} s") from error
    except OSError as error:
        raise CameraFaultError(f"{where} does not run: {error.strerror}: start it with 'sinew cell'") from error
    finally:
        os.close(directory)
    if answer != "ok":
        raise CameraFaultError(f"{where} refused: {answer}")
