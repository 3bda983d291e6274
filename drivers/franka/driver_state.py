"""What the driver finds its robot to be: one table from the robot's mode, and what an operator reads about it."""

from drivers.franka.errors import describe_errors
from drivers.franka.view import RobotView
from runtime.rows import DriverState, RobotMode, Severity

# Keyed on the mode, because error flags can read clear while Reflex is latched.
STATE_OF_MODE = {
    RobotMode.OTHER: DriverState.NOT_READY,
    RobotMode.IDLE: DriverState.OK,
    RobotMode.MOVE: DriverState.OK,
    RobotMode.GUIDING: DriverState.NOT_READY,
    RobotMode.REFLEX: DriverState.REFLEX,
    RobotMode.USER_STOPPED: DriverState.USER_STOP,
    RobotMode.AUTOMATIC_ERROR_RECOVERY: DriverState.NOT_READY,
}

SENTENCES = {
    DriverState.NOT_READY: (Severity.WARNING, "the arm cannot move: {why_not}"),
    DriverState.OK: (Severity.INFO, "the arm is ready; it moves only after ENABLE or GOTO"),
    DriverState.REFLEX: (
        Severity.ERROR,
        "the robot stopped by its own reflex ({errors}): clear the cause, then recover",
    ),
    DriverState.USER_STOP: (Severity.ERROR, "the user stop is pressed: release it when the cell is safe, then re-arm"),
    DriverState.LINK_DEAD: (Severity.ERROR, "no connection to the robot: check cable, power and FCI; reconnecting"),
    DriverState.PLANNER_ERROR: (
        Severity.ERROR,
        "a motion ended by an error of its own ({planner}): recover, then re-arm",
    ),
}

_WHY_NOT = {
    RobotMode.OTHER: "the robot's mode is Other: open the brakes and activate FCI in Desk",
    RobotMode.GUIDING: "somebody guides it by hand: let go of the guiding button",
    RobotMode.AUTOMATIC_ERROR_RECOVERY: "error recovery is running",
}


def find_state(view: RobotView, planner_error: str, *, in_touch: bool) -> DriverState:
    """The driver's state.

    Args:
        view: the newest robot state.
        planner_error: how the last motion failed by itself, if it did.
        in_touch: connected, and a state was read on this connection.
    """
    if not in_touch:
        return DriverState.LINK_DEAD if view.seen else DriverState.NOT_READY
    found = STATE_OF_MODE[view.mode]
    if found is DriverState.OK and view.errors:
        return DriverState.REFLEX
    if found is DriverState.OK and planner_error:
        return DriverState.PLANNER_ERROR
    return found


def describe_state(state: DriverState, view: RobotView, planner_error: str) -> tuple[Severity, str]:
    """Severity and sentence of entering a state."""
    severity, sentence = SENTENCES[state]
    why_not = _WHY_NOT.get(view.mode, "") if view.seen else "not connected yet"
    return severity, sentence.format(why_not=why_not, errors=describe_errors(view.errors), planner=planner_error)
