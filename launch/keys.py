"""Single keys from a terminal: works over ssh, needs no X, and gives the terminal back however the program ends."""

import os
import select
import sys
import termios
import tty
from types import TracebackType


class Keys:
    """Context manager: while it is open, keys arrive one by one and are not echoed; without a terminal none arrive."""

    def __init__(self) -> None:
        self.live = sys.stdin.isatty()
        self._saved: list | None = None

    def __enter__(self) -> "Keys":
        if self.live:
            self._saved = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._saved is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._saved)

    def pressed(self) -> str:
        """The keys pressed since the last call, "" if none. Never waits."""
        if not self.live or not select.select([sys.stdin], [], [], 0)[0]:
            return ""
        return os.read(sys.stdin.fileno(), 64).decode(errors="ignore")
