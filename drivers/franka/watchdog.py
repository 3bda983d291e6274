"""The driver's own dead-man: commands that stop coming stop the arm."""

FIRST_COMMAND_NS = 1_000_000_000  # from ENABLE to the first row


PERIODS = 3  # a slow stream's rows are further apart than the limit: it may miss two


class Watchdog:
    """Expires when no command was accepted for `limit_ns` [ns], or three of its periods if they are longer.

    Only accepted commands feed it, by their own stamp: a stream of refused or stale rows is no stream. Before the first
    one it waits `FIRST_COMMAND_NS`.
    """

    def __init__(self, limit_ns: int, now_ns: int) -> None:
        self._limit_ns = limit_ns
        self._fed_ns = now_ns
        self._allowed_ns = FIRST_COMMAND_NS

    def feed(self, stamp_ns: int, period_ns: int) -> None:
        """A command written at `stamp_ns` was accepted; the next is due `period_ns` later."""
        self._fed_ns = max(stamp_ns, self._fed_ns)
        self._allowed_ns = max(self._limit_ns, PERIODS * period_ns)

    def age_ns(self, now_ns: int) -> int:
        """Since the newest accepted command, or since the start."""
        return now_ns - self._fed_ns

    def expired(self, now_ns: int) -> bool:
        return self.age_ns(now_ns) > self._allowed_ns
