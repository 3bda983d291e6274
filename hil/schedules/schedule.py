"""What a seed stands for: episodes of a motion, a failure under way and an acknowledgement, and how the session ends."""

import random
from dataclasses import dataclass

from hil.fci.faults import FAULTS as ARM_FAULTS
from hil.realsense.script import FAULTS as CAMERA_FAULTS

# Ends of lasting faults: done after every episode, so no failures of their own.
ENDS = ("user_stop_released", "brakes_unlocked", "guiding_ended", "restore")
FAULTS = tuple(name for name in ARM_FAULTS if name not in ENDS)
ASKS = ("swing", "swing", "swing", "home", "jog")
FAILURES = ("fault", "fault", "fault", "fault", "stop", "kill rt", "kill arm", "stall rt", "stall arm", "none", "ack")
WITH_CAMERAS = ("camera", "kill camera")
SESSION_ENDS = ("end", "SIGTERM", "SIGHUP", "kill supervisor")


@dataclass(frozen=True)
class Episode:
    """One motion and what befalls it `after_s` after it was asked for. `argument`: the fault's name, or milliseconds."""

    ask: str
    after_s: float
    failure: str
    argument: str | int = 0


@dataclass(frozen=True)
class Schedule:
    """All that a seed decides."""

    seed: int
    episodes: tuple[Episode, ...]
    end: str


def schedule(seed: int, episodes: int, *, cameras: bool = False) -> Schedule:
    """The schedule of a seed: the same seed and sizes give the same schedule."""
    generator = random.Random(seed)
    failures = FAILURES + WITH_CAMERAS * 2 if cameras else FAILURES
    return Schedule(seed, tuple(_episode(generator, failures) for _ in range(episodes)), generator.choice(SESSION_ENDS))


def _episode(generator: random.Random, failures: tuple[str, ...]) -> Episode:
    failure = generator.choice(failures)
    argument: str | int = 0
    if failure == "fault":
        argument = generator.choice(FAULTS)
    elif failure == "camera":
        argument = generator.choice(tuple(CAMERA_FAULTS))
    elif failure.startswith("stall"):
        argument = generator.choice((10, 30, 60, 200, 700))
    return Episode(generator.choice(ASKS), round(generator.uniform(0.1, 2.5), 2), failure, argument)
