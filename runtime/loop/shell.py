"""The loop around a step: an absolute grid, one step per slot, never a burst. The only part of rt that reads the clock."""

from collections.abc import Callable

from runtime.clock import Clock
from runtime.ticker import Grid, sleep_until_ns


def run_on_grid(
    step: Callable[[int, int], None], clock: Clock, start_ns: int, period_ns: int, stopped: Callable[[], bool]
) -> None:
    """Call `step(now_ns, work_ns)` once per slot until `stopped()`.

    Args:
        step: gets the time it was woken at and what its predecessor cost [ns].
        clock: monotonic.
        start_ns: slot 0; slots are `period_ns` apart.
        stopped: asked before every step.
    """
    grid = Grid(period_ns, start_ns)
    work_ns = 0
    sleep_until_ns(grid.next_ns)
    while not stopped():
        now_ns = clock.now_ns()
        step(now_ns, work_ns)
        after_ns = clock.now_ns()
        work_ns = after_ns - now_ns
        sleep_until_ns(grid.advance(after_ns))
