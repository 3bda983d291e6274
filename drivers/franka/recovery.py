"""Clearing a reflex, and only on request: ends in a fresh idle state or in a named refusal."""

import franky

from drivers.franka.activity import Outcome
from drivers.franka.errors import describe_errors, is_planner_error
from drivers.franka.link import Link
from drivers.franka.settings import Settings, apply_settings
from drivers.franka.view import RobotView
from runtime.rows import ArmActivity, RequestStatus, RobotMode, Severity

RECOVER_NS = 12_000_000_000  # 0.7 to 7.3 s were seen on real arms
IDLE_NS = 2_000_000_000  # from the robot's answer to an idle state
SETTINGS_NS = 2_000_000_000


class Recovery:
    """Automatic error recovery is running."""

    kind = ArmActivity.RECOVERING

    def __init__(self, link: Link, request_id: int) -> None:
        self.request_id = request_id
        self._call = link.call("recover", franky.Robot.recover_from_errors, RECOVER_NS)

    def step(self, view: RobotView, now_ns: int) -> Outcome | None:
        """Wait for the robot's answer and then for a fresh idle state: the answer alone proves nothing."""
        call = self._call
        if not call.done:
            if call.overdue(now_ns):
                return self._failed(f"the robot did not answer within {RECOVER_NS / 1e9:g} s", lost=True)
            return None
        if call.error is not None:
            text = f"the robot refused to recover: {call.error}"
            return self._failed(text, lost=not is_planner_error(call.error))
        if view.stamp_ns > call.done_ns and view.mode == RobotMode.IDLE and not view.errors and view.still:
            return Outcome("recovered: the robot is idle; re-arm to move", RequestStatus.DONE, "recover.done")
        if now_ns - call.done_ns > IDLE_NS:
            found = f"mode {view.mode.name}, {describe_errors(view.errors)}"
            return self._failed(f"the robot answered but is not idle {IDLE_NS / 1e9:g} s later: {found}")
        return None

    @staticmethod
    def _failed(text: str, *, lost: bool = False) -> Outcome:
        return Outcome(text, RequestStatus.FAILED, "recover.failed", Severity.ERROR, False, text if lost else "")


class Applying:
    """Collision thresholds and load are being set."""

    kind = ArmActivity.IDLE

    def __init__(self, link: Link, settings: Settings, request_id: int) -> None:
        self.request_id = request_id
        self._link = link
        self._call = link.call("settings", lambda robot: apply_settings(robot, settings), SETTINGS_NS)

    def step(self, _view: RobotView, now_ns: int) -> Outcome | None:
        """Wait for the robot's answers."""
        call = self._call
        if not call.done:
            if call.overdue(now_ns):
                return self._failed(f"the robot did not answer within {SETTINGS_NS / 1e9:g} s", lost=True)
            return None
        if call.error is not None:
            return self._failed(f"not set: {call.error}", lost=not is_planner_error(call.error))
        self._link.settings_problem = call.result
        if call.result is not None:
            return self._failed(call.result)
        return Outcome("collision thresholds and load are set", RequestStatus.DONE, "settings.done")

    @staticmethod
    def _failed(text: str, *, lost: bool = False) -> Outcome:
        return Outcome(text, RequestStatus.FAILED, "settings.failed", Severity.ERROR, False, text if lost else "")
