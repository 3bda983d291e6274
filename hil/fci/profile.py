"""How an emulated robot's time relates to the clock on the wall and to its client's answers."""

from enum import Enum


class Profile(Enum):
    """LOCKSTEP and PACED wait for the answer to the last state while a motion runs, so load never fakes a lost packet.

    LOCKSTEP goes on as soon as the answer is there (deterministic, often faster than real time; real time between
    motions). PACED is never faster than real time. STRICT is the robot's own rule: an answer that is not there in
    time is lost.
    """

    LOCKSTEP = "lockstep"
    PACED = "paced"
    STRICT = "strict"
