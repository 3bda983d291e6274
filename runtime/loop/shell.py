"""The loop around a step: an absolute grid, one step per slot, never a burst. The only part of rt that reads the clock."""

from collections.abc import Callable

from runtime.clock import Clock
from runtime.ticker import Grid, sleep_until_ns

# Under FIFO the wake-up comes this much early and the rest is spun away: it hides what the kernel and a cold interpreter
# take (p99 85 us against cyclictest's 53 us), for 5 % of a core at 1 kHz, 1 % at 200 Hz. In the normal class a spinner
# loses its share to others and is later than a sleeper (measured p99 25.8 ms), so it sleeps to the end there.
SPIN_NS = 50_000


def run_on_grid(
    step: Callable[[int, int], None],
    clock: Clock,
    start_ns: int,
    period_ns: int,
    stopped: Callable[[], bool],
    *,
    spin_ns: int = 0,
) -> None:
    """Call `step(now_ns, work_ns)` once per slot until `stopped()`.

    Args:
        step: gets the time it was woken at and what its predecessor cost [ns].
        clock: monotonic.
        start_ns: slot 0; slots are `period_ns` apart.
        stopped: asked before every step.
        spin_ns: wake up this much before each slot and spin: `SPIN_NS` under FIFO, else 0.
    """
    grid = Grid(period_ns, start_ns)
    due_ns = grid.next_ns
    work_ns = 0
    while True:
        sleep_until_ns(due_ns - spin_ns)
        now_ns = clock.now_ns()
        while now_ns < due_ns:
            now_ns = clock.now_ns()
        if stopped():
            return
        step(now_ns, work_ns)
        after_ns = clock.now_ns()
        work_ns = after_ns - now_ns
        due_ns = grid.advance(after_ns)
