"""`sinew bench ring`: what a row and a frame cost through a ring, next to memcpy of the same bytes in the same run.

Alternating rounds and medians of rounds, so that what else the machine does hits both sides alike.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from hil.report import BenchRow
from runtime.ring import RingReader, RingWriter, remove_dead_rings
from runtime.rows import ARM_STATE, frame_dtype
from runtime.ticker import sleep_ns

TORN_DTYPE = np.dtype([("first", "<u8"), ("body", "<u8", (126,)), ("last", "<u8")])
_WRITER = """
import sys
from hil.benches.ring import TORN_DTYPE
from runtime.ring import RingWriter
writer = RingWriter(sys.argv[1], "torn", TORN_DTYPE, int(sys.argv[2]))
print("ready", flush=True)
value = 0
while True:
    value += 1
    writer.row["first"] = value
    writer.row["body"] = value
    writer.row["last"] = value
    writer.commit(value)
"""


def _paired(
    ours: Callable[[], object], memcpy: Callable[[], object], rounds: int, calls: int
) -> tuple[float, float, float]:
    """Median time per call of both [us] and the median of the rounds' ratios, rounds interleaved."""
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        pair = []
        for call in (ours, memcpy):
            start = time.perf_counter()
            for _ in range(calls):
                call()
            pair.append((time.perf_counter() - start) / calls * 1e6)
        times.append((pair[0], pair[1]))
    return (
        statistics.median(one for one, _ in times),
        statistics.median(two for _, two in times),
        statistics.median(one / two for one, two in times),
    )


def _memcpy(size: int) -> Callable[[], object]:
    source, target = memoryview(bytearray(os.urandom(size))), memoryview(bytearray(size))

    def copy() -> None:
        target[:] = source

    return copy


def torn_reads(instance: str, seconds: float, slots: int) -> tuple[int, int, int]:
    """Read while another process writes at full speed. Returns (rows accepted, accepted torn, tries refused)."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, instance, str(slots)], stdout=subprocess.PIPE, text=True
    ) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            reader = RingReader(instance, "torn", TORN_DTYPE)
            accepted = torn = 0
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                row = reader.latest(0)
                if row is None:
                    continue
                accepted += 1
                value = row["first"]
                torn += int(row["last"] != value or (row["body"] != value).any())
            return accepted, torn, reader.unclean
        finally:
            writer.kill()
            writer.wait()
            remove_dead_rings(instance)


def run(*, quick: bool) -> list[BenchRow]:
    instance = f"bench-ring-{os.getpid()}"
    rounds, seconds = (15, 3.0) if quick else (60, 20.0)
    rows = []
    with RingWriter(instance, "state", ARM_STATE, 64) as writer:
        reader = RingReader(instance, "state", ARM_STATE)
        writer.commit(1)
        copy = _memcpy(ARM_STATE.itemsize)
        row_cases: list[tuple[str, Callable[[], object]]] = [
            ("row_write_us", lambda: writer.commit(1)),
            ("row_read_us", lambda: reader.latest(1)),
        ]
        for name, call in row_cases:
            value, base, ratio = _paired(call, copy, rounds, 2000)
            rows.append(BenchRow(name, value, "us", baseline=base, ratio=ratio, note=f"{ARM_STATE.itemsize} B row"))
    frame = frame_dtype(640, 480, depth=False, infrared=False)
    color = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    with RingWriter(instance, "frame", frame, 8) as writer:
        reader = RingReader(instance, "frame", frame)
        copy = _memcpy(color.nbytes)

        def write_frame() -> None:
            with writer.writing(1) as slot:
                slot["color"][:] = color

        write_frame()
        frame_cases: list[tuple[str, Callable[[], object]]] = [
            ("frame_write_us", write_frame), ("frame_copy_us", lambda: reader.latest(1)), ("frame_view_us", lambda: reader.view(1)),
        ]  # fmt: skip
        for name, call in frame_cases:
            value, base, ratio = _paired(call, copy, rounds, 40)
            rows.append(BenchRow(name, value, "us", baseline=base, ratio=ratio, note="640x480x3"))
    accepted = torn = refused = 0
    for slots in (2, 8, 64):
        one = torn_reads(instance, seconds / 3, slots)
        accepted, torn, refused = accepted + one[0], torn + one[1], refused + one[2]
        sleep_ns(1)
    rows.append(
        BenchRow("torn_accepted", torn, "rows", 0, "equal", note=f"{accepted} accepted, {refused} tries refused")
    )
    rows.append(
        BenchRow("rows_accepted", accepted, "rows", 1000, "more", note="a reader that accepts nothing proves nothing")
    )
    return rows
