"""The latched fault, kept on disk: a restart of the supervisor, or of the machine, does not forget it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from runtime.errors import SinewError


class LatchError(SinewError):
    """The latch cannot be written or read: without it nothing may start."""


@dataclass(frozen=True)
class Latch:
    """A fault that a person has not acknowledged yet."""

    cause: str  # name in the table of causes
    text: str  # the operator's sentence
    wall_ns: int  # when, as a label


def state_dir() -> Path:
    """Where state that outlives a run is kept: $SINEW_STATE, or ~/.local/state/sinew."""
    return Path(os.environ.get("SINEW_STATE") or Path.home() / ".local" / "state" / "sinew")


def _path(instance: str) -> Path:
    return state_dir() / f"{instance}.latch.json"


def load(instance: str) -> Latch | None:
    """The latched fault of this instance, if there is one. An unreadable latch counts as latched."""
    path = _path(instance)
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LatchError(f"{path}: {error.strerror}: make it readable, then start again") from error
    try:
        data = json.loads(text)
        return Latch(str(data["cause"]), str(data["text"]), int(data["wall_ns"]))
    except (ValueError, KeyError, TypeError):
        return Latch("unreadable_latch", f"the latch file {path} is damaged: what it held is unknown", 0)


def kept() -> dict[str, Latch]:
    """Every latched fault there is, by instance name."""
    names = sorted(path.name.removesuffix(".latch.json") for path in state_dir().glob("*.latch.json"))
    return {name: fault for name in names if (fault := load(name)) is not None}


def save(instance: str, latch: Latch) -> None:
    """Keep a fault: on disk before this returns. The first fault stays; later ones are its consequences."""
    path = _path(instance)
    if path.exists():
        return
    temporary = path.with_suffix(f".{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w") as file:
            json.dump(asdict(latch), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise LatchError(f"{path}: {error.strerror}: the fault '{latch.cause}' could not be kept") from error


def clear(instance: str) -> None:
    """Forget the fault: only ever called for an operator's acknowledgement."""
    _path(instance).unlink(missing_ok=True)
