"""Jog: a hand on the keys, or a teleoperator on the console, as requests to rt. The dead-man's switch is repetition.

Every word of the hand is one JOG row; rt drops it 100 ms later, and with nothing newer it brakes and takes the lease
away. So nothing here keeps an arm moving: a held key repeats, a released one does not.
"""

from launch.rt_line import RtLine
from runtime.cell import Cell
from runtime.modes.machine import RESTING, Mode
from runtime.rows import JOINTS
from runtime.rows_rt import RtRequestKind, SourceKind

KEY_SPEED_RAD_S = 0.15
ASK_AGAIN_NS = 50_000_000
Velocities = tuple[float, ...]
# What terminals send for the keys that jog: arrows (two dialects), and plus and minus.
_FORWARD = ("\x1b[A", "\x1b[C", "\x1bOA", "\x1bOC", "+", "=")
_BACKWARD = ("\x1b[B", "\x1b[D", "\x1bOB", "\x1bOD", "-", "_")


class JogLine:
    """Hands velocities on to rt, and asks for the lease where nobody has it. One arm at a time."""

    def __init__(self, rt: RtLine, cell: Cell, groups: list[str]) -> None:
        self._rt = rt
        self._arms = {name: (k, groups.index(arm.stop_group)) for k, (name, arm) in enumerate(cell.arms.items())}
        self._asked_ns = -ASK_AGAIN_NS

    @property
    def arms(self) -> list[str]:
        return list(self._arms)

    def refusal(self, arm: str, velocities: object) -> str | None:
        """Why this cannot be jogged, or None."""
        if arm not in self._arms:
            return f"the cell has no arm '{arm}': its arms are {', '.join(self._arms)}"
        if not isinstance(velocities, list | tuple) or len(velocities) != JOINTS:
            return f"velocities {velocities!r}: {JOINTS} numbers are needed [rad/s]"
        if any(isinstance(one, bool) or not isinstance(one, int | float) for one in velocities):
            return f"velocities {velocities!r}: they must be numbers [rad/s]"
        _, group = self._arms[arm]
        mode = self._rt.groups[group].mode if self._rt.groups else None
        if mode is not Mode.TAKEOVER and mode not in RESTING and mode is not Mode.STOPPING:
            return f"not possible in mode {mode.name if mode is not None else 'unknown'}: arm first, e.g. by 'hold'"
        return None

    def move(self, now_ns: int, arm: str, velocities: Velocities) -> None:
        """One word of the hand: joint velocities [rad/s], good for 100 ms."""
        index, group = self._arms[arm]
        values = tuple(float(one) for one in velocities)
        self._rt.ask(now_ns, RtRequestKind.JOG, group, arm=index, values=values)
        state = self._rt.groups[group]
        if state.mode in RESTING and state.following and now_ns - self._asked_ns >= ASK_AGAIN_NS:
            self._asked_ns = now_ns
            self._rt.ask(now_ns, RtRequestKind.TAKE_OVER, group, arm=index, source=SourceKind.JOG)


class JogKeys:
    """Keys as words of a hand: digits choose the joint, arrows or + and - move it while they repeat."""

    def __init__(self) -> None:
        self.joint = 0

    def feed(self, keys: str) -> tuple[str, Velocities | None]:
        """Take the keys that jog out of what was pressed; returns the other keys, and the newest velocities if any."""
        rest, velocities = "", None
        while keys:
            found = next((one for one in (*_FORWARD, *_BACKWARD) if keys.startswith(one)), "")
            if found:
                sign = 1.0 if found in _FORWARD else -1.0
                velocities = tuple(sign * KEY_SPEED_RAD_S if k == self.joint else 0.0 for k in range(JOINTS))
            elif keys[0] in "1234567":
                self.joint = int(keys[0]) - 1
            else:
                rest += keys[0]
            keys = keys[len(found) or 1 :]
        return rest, velocities
