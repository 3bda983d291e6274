"""What a camera driver tells people: one event per change of state, never one per frame."""

from collections.abc import Callable

from drivers.device import DeviceShell
from drivers.realsense.machine import Change, Symptom
from drivers.realsense.stamps import Stamp
from runtime.rows import CameraPhase, Severity

_SEVERITY = {
    CameraPhase.STALLED: Severity.WARNING,
    CameraPhase.RESTART: Severity.WARNING,
    CameraPhase.RESET: Severity.ERROR,
    CameraPhase.LOST: Severity.ERROR,
}
_SAYS = {
    Symptom.FIT: "the device is there",
    Symptom.GONE: "the device is gone",
    Symptom.FAILED: "librealsense reported an error",
    Symptom.FRAME: "frames arrive",
    Symptom.SETTLED: "exposure has settled and is locked",
    Symptom.SILENT: "no new frame",
    Symptom.OVERDUE: "the time allowed is over",
}


class Teller:
    """Writes the events of one camera and hands each sentence to `say` as well."""

    def __init__(self, shell: DeviceShell, name: str, serial: str, remedy: str, say: Callable[[str], None]) -> None:
        self._shell, self._remedy, self._say = shell, remedy, say
        self._short, self._long = f"camera '{name}'", f"camera '{name}' (serial {serial})"
        self._doubting = self._was_frozen = False

    def event(self, now_ns: int, severity: Severity, code: str, text: str) -> None:
        """Any event; `text` names the camera itself."""
        self._shell.event(now_ns, severity, code, text)
        self._say(f"{severity.name} {code}: {text}")

    def new_session(self) -> None:
        """Doubts and frozen pictures of the stream before are over."""
        self._doubting = self._was_frozen = False

    def changed(self, now_ns: int, change: Change, silent_ns: int, limit_ns: int) -> None:
        """A transition; `silent_ns` since the last new frame, against the limit of the cell file."""
        detail = ""
        if change.after is CameraPhase.STALLED:
            detail = f" for {silent_ns / 1e6:.0f} ms (limit {limit_ns / 1e6:.0f} ms): {self._remedy}"
        elif change.after is CameraPhase.LOST and change.symptom is not Symptom.GONE:  # a refusal has just been told
            detail = f": {self._remedy}"
        self.event(
            now_ns,
            _SEVERITY.get(change.after, Severity.INFO),
            change.after.name.lower(),
            f"{self._long}: {change.before.name} -> {change.after.name}: {_SAYS[change.symptom]}{detail}",
        )

    def doubt(self, now_ns: int, stamp: Stamp, median_latency_ns: int) -> None:
        """A stamp; an event where belief begins or ends."""
        doubting = stamp.doubt is not None
        if stamp.doubt is not None and not self._doubting:
            self.event(
                now_ns,
                Severity.WARNING,
                "clock_doubted",
                f"{self._short}: its time stamp is not believed: {stamp.doubt.value}; using receive time minus the median "
                f"latency of {median_latency_ns / 1e6:.1f} ms",
            )
        elif self._doubting and not doubting:
            how = "relearned after a lasting jump" if stamp.relearned else "believed again"
            self.event(now_ns, Severity.INFO, "clock_believed", f"{self._short}: its time stamps are {how}")
        self._doubting = doubting

    def frozen(self, now_ns: int, frozen: bool) -> None:
        """Whether the picture stands still; an event where that begins or ends."""
        if frozen and not self._was_frozen:
            self.event(
                now_ns,
                Severity.WARNING,
                "frozen",
                f"{self._short}: the picture does not change although frames arrive: is the lens covered? "
                "otherwise restart the camera",
            )
        elif self._was_frozen and not frozen:
            self.event(now_ns, Severity.INFO, "thawed", f"{self._short}: the picture changes again")
        self._was_frozen = frozen
