"""Keeps a connection to the robot: connects, notices a dead link, builds it anew. Never resumes anything."""

from collections.abc import Callable
from pathlib import Path

from drivers.franka.bounded import Call
from drivers.franka.errors import NoConnectionError
from drivers.franka.link import Link
from drivers.franka.settings import Settings
from drivers.franka.view import RobotView
from runtime.errors import SinewError
from runtime.rows import Severity

FROZEN_NS = 1_200_000_000  # robot time stands still, no error in sight: the link is dead
FROZEN_IN_CONTROL_NS = 3_500_000_000  # a robot may take 1.21 s to report a motion's end; the stop ladder is quicker
RECONNECT_NS = 1_000_000_000
ASLEEP_NS = 100_000_000  # a gap between two turns above which this process was held up itself: no verdict on the robot

Tell = Callable[[int, Severity, str, str], None]


class LinkKeeper:
    """Watches over a `Link`. `settings` are set at every connect; `fatal` says why there can be no connection at all."""

    def __init__(
        self,
        link: Link,
        view: RobotView,
        settings: Settings,
        identity_path: Path,
        tell: Tell,
        *,
        enforce_realtime: bool,
    ) -> None:
        self.settings = settings
        self.fatal: SinewError | None = None
        self._link, self._view, self._tell = link, view, tell
        self._identity_path, self._enforce_realtime = identity_path, enforce_realtime
        self._connecting: Call | None = None
        self._due_ns = 0
        self._turn_ns = self._awake_ns = 0
        self._trouble = ""

    @property
    def in_touch(self) -> bool:
        """Connected, and a state was read on this connection."""
        return self._link.connected and self._view.robot_time_ns >= 0

    def find_trouble(self, now_ns: int) -> str | None:
        """Why the connection is dead, or None. Ask every turn."""
        if now_ns - self._turn_ns > ASLEEP_NS:
            self._awake_ns = now_ns
        self._turn_ns = now_ns
        reader = self._link.reader
        if reader is None:
            return None
        if reader.failure is not None:
            return f"the client library reports: {reader.failure}"
        frozen_ns = now_ns - max(self._view.advanced_ns, self._awake_ns)
        if frozen_ns > (FROZEN_IN_CONTROL_NS if self._view.in_control else FROZEN_NS):
            return f"robot time has not advanced for {frozen_ns / 1e6:.0f} ms"
        return None

    def lose(self, why: str, now_ns: int) -> None:
        """Cut the connection, so that the robot stops by itself; a new one is tried from now on."""
        self._tell(now_ns, Severity.ERROR, "link.lost", f"{why}: the connection is cut, the robot stops by itself")
        self._link.drop()
        self._view.lose_touch()
        self._due_ns = now_ns

    def connect(self, now_ns: int) -> bool:
        """Go on connecting while there is no connection; True in the turn in which one was made."""
        if self._link.connected or self.fatal is not None:
            return False
        if self._connecting is None:
            if now_ns >= self._due_ns:
                self._connecting = self._link.start_connecting(self.settings, enforce_realtime=self._enforce_realtime)
            return False
        call = self._connecting
        if not call.done:
            if call.overdue(now_ns):
                self._tell_once(f"robot '{self._link.host}': no answer; still trying", now_ns)
            return False
        self._connecting = None
        if call.error is None:
            self._adopt(call, now_ns)
            return True
        if isinstance(call.error, SinewError) and not isinstance(call.error, NoConnectionError):
            self.fatal = call.error
            self._tell(now_ns, Severity.ERROR, "fatal", str(call.error))
        else:
            self._due_ns = now_ns + RECONNECT_NS
            self._tell_once(str(call.error), now_ns)
        return False

    def write_identity(self) -> None:
        """Write the identity file, with the settings as they are."""
        assert self._link.identity is not None, "connect first"
        self._link.identity.write(self._identity_path, self.settings)

    def _adopt(self, call: Call, now_ns: int) -> None:
        self._trouble = ""
        self._view.new_connection(now_ns)
        self._link.adopt(call)
        self.write_identity()
        identity = self._link.identity
        assert identity is not None
        text = f"connected to {identity.host} ({identity.address}), server version {identity.server_version}"
        self._tell(now_ns, Severity.INFO, "connected", text)
        if self._link.settings_problem:
            self._tell(now_ns, Severity.WARNING, "settings.failed", self._link.settings_problem)

    def _tell_once(self, text: str, now_ns: int) -> None:
        if text != self._trouble:  # the same trouble is told once, not every second
            self._trouble = text
            self._tell(now_ns, Severity.WARNING, "connect.failed", text)
