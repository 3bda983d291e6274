"""The black box: the last seconds of every ring of an instance in one log that replays.

`python -m runtime.blackbox --instance I --out DIR` runs beside the cell, reads only, and ends. Requests, plans and what rt
did are saved as far back as their rings reach: a replay has to begin where rt was not armed.
"""

import argparse
import sys
from pathlib import Path

from runtime.clock import MonotonicClock
from runtime.errors import SinewError
from runtime.ring import RingReader, dtype_of, instance_dir, ring_names, ring_schema
from runtime.rowlog import RowLogError, RowLogWriter
from runtime.ticker import sleep_ns

SECONDS = 10.0
SETTLE_S = 0.5  # so that the stop that is the reason for it is on it
LOG_NAME = "blackbox.mcap"
MAX_ATTACHMENT_BYTES = 8 << 20
_WHOLE = ("rt.",)  # rings that a replay needs from as early as can be had


def save(instance: str, path: Path, now_ns: int, seconds: float = SECONDS) -> dict[str, int]:
    """Save the rows younger than `seconds` of every ring, and the instance's JSON files. Returns rows per ring.

    Raises:
        RowLogError: there is no such instance, or the file cannot be written.
    """
    names = ring_names(instance)
    if not names:
        raise RowLogError(f"instance '{instance}': no rings at {instance_dir(instance)}: is the cell running?")
    oldest_ns = now_ns - round(seconds * 1e9)
    counts: dict[str, int] = {}
    try:
        writer = RowLogWriter(path)
        for file in sorted(instance_dir(instance).glob("*.json")):
            if file.stat().st_size <= MAX_ATTACHMENT_BYTES:
                writer.attach(file.name, file.read_bytes(), now_ns)
        # Small rings first: a heartbeat of 1 kHz with 64 slots is overwritten within 64 ms, a frame within a quarter second.
        for name in sorted(names, key=lambda one: (instance_dir(instance) / f"{one}.ring").stat().st_size):
            found = ring_schema(instance, name)
            if found is None:
                continue
            dtype = dtype_of(*found)
            reader = RingReader(instance, name, dtype)
            writer.ring(name, dtype)
            counts[name] = 0
            for row in reader.drain():
                if reader.meta.stamp_ns > now_ns:
                    break  # the ring goes on; the box ends here
                if reader.meta.stamp_ns >= oldest_ns or name.startswith(_WHOLE):
                    writer.row(name, row.tobytes(), reader.meta)
                    counts[name] += 1
        writer.close()
    except OSError as error:
        raise RowLogError(f"{path}: {error.strerror}: make room, then save again") from error
    return counts


def main(argv: list[str] | None = None) -> int:
    """Save one black box; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m runtime.blackbox", description=__doc__)
    parser.add_argument("--instance", required=True, help="name of the running cell")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"folder that gets {LOG_NAME}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how far back (default %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        sleep_ns(round(SETTLE_S * 1e9))
        counts = save(arguments.instance, arguments.out / LOG_NAME, MonotonicClock().now_ns(), arguments.seconds)
    except SinewError as error:
        print(f"blackbox: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.out / LOG_NAME}: {sum(counts.values())} rows of {len(counts)} rings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
