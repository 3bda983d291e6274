"""`sinew hil drivers`: the sections in order, each on fresh processes, for an emulated cell or a real one."""

import math
from collections.abc import Callable

from hil.driver_bench import arm_faults, camera_faults, goto, hand_faults, killed, streaming, together
from hil.report import BenchRow, print_table
from hil.rig import Rig, own_addresses
from runtime.cell import Cell, load_cell
from runtime.errors import SinewError

# On an emulated cell a busy machine must not stop the streams whose lag is measured in robot time. The rows about a dead
# source use the cell file's own watchdog.
PATIENT_MS = 500.0
SECOND_CELL = "emulated_dual"
NEEDS_EMULATOR = ("arm_faults", "hand_faults", "camera_faults", "determinism")


class BenchError(SinewError):
    """The bench cannot be run on this cell as asked."""


def run(cell_name: str, *, quick: bool, allow_no_rt: bool = False) -> list[BenchRow]:
    """Every row of the bench. Tables are printed section by section.

    Args:
        cell_name: a cell by name or file. The arms of a real one MOVE (the caller has asked).
        quick: fewer modes, rates, flags and camera faults, one arm: within 50 s on 2 cores.
        allow_no_rt: let the drivers of a real cell start without real-time scheduling.
    """
    cell = load_cell(cell_name)
    sections = _emulated(cell, quick=quick) if cell.emulated is not None else _real(cell, quick, allow_no_rt)
    rows = []
    for name, measure in sections:
        found = _guarded(name, measure)
        print_table(f"drivers of cell '{cell.name}': {name}", found)
        rows += found
    return rows


Section = tuple[str, Callable[[], list[BenchRow]]]


def _guarded(name: str, measure: Callable[[], list[BenchRow]]) -> list[BenchRow]:
    """A section that cannot be measured is a row that is not met; the others go on."""
    try:
        return measure()
    except SinewError as error:
        return [BenchRow(name, math.nan, "", 0, note=str(error))]


def _emulated(cell: Cell, *, quick: bool) -> list[Section]:
    def patient(
        measure: Callable[[Rig], list[BenchRow]], *, hands: bool = False, profile: str = "lockstep"
    ) -> Callable[[], list[BenchRow]]:
        def section() -> list[BenchRow]:
            patient_cell = own_addresses(cell, watchdog_ms=PATIENT_MS)
            with Rig(patient_cell, hands=None if hands else [], cameras=[], profile=profile) as rig:
                return measure(rig)

        return section

    def cameras() -> list[BenchRow]:
        with Rig(own_addresses(cell), arms=[], hands=[]) as rig:
            return together.cameras(rig) + camera_faults.run(rig, quick=quick)

    def dead_source() -> list[BenchRow]:
        with Rig(own_addresses(cell), hands=[], cameras=[], profile="paced") as rig:
            return killed.run(rig, quick=quick)

    def two_arms() -> list[BenchRow]:
        second = own_addresses(cell if len(cell.arms) > 1 else load_cell(SECOND_CELL), watchdog_ms=PATIENT_MS)
        with Rig(second, hands=[], cameras=[], profile="paced") as rig:
            return together.arms(rig)

    sections: list[Section] = [
        ("goto", patient(goto.run)),
        # Paced, as are two arms: in lock-step robot time may run ahead of the source, which would be counted as lag.
        ("streaming", patient(lambda rig: streaming.run(rig, quick=quick), profile="paced")),
        ("commander killed", dead_source),
        ("arm faults", patient(lambda rig: arm_faults.run(rig, quick=quick))),
        ("determinism", lambda: goto.determinism(cell, servers=2 if quick else goto.SERVERS)),
    ]
    if not quick:
        sections.append(("two arms", two_arms))
    if cell.hands:
        sections.append(("hand", patient(lambda rig: hand_faults.run(rig, emulated=True, quick=quick), hands=True)))
    if cell.cameras:
        sections.append(("cameras", cameras))
    return sections


def _real(cell: Cell, quick: bool, allow_no_rt: bool) -> list[Section]:
    def section(measure: Callable[[Rig], list[BenchRow]], **devices: object) -> Callable[[], list[BenchRow]]:
        def run_section() -> list[BenchRow]:
            with Rig(cell, allow_no_rt=allow_no_rt, **devices) as rig:  # type: ignore[arg-type]  # Rig's device lists
                return measure(rig)

        return run_section

    none: list[str] = []
    sections: list[Section] = [
        ("goto", section(goto.run, hands=none, cameras=none)),
        ("streaming", section(lambda rig: streaming.run(rig, quick=quick), hands=none, cameras=none)),
        ("commander killed", section(lambda rig: killed.run(rig, quick=quick), hands=none, cameras=none)),
    ]
    if cell.hands:
        sections.append(
            ("hand", section(lambda rig: hand_faults.run(rig, emulated=False, quick=quick), arms=none, cameras=none))
        )
    if cell.cameras:
        sections.append(("cameras", section(together.cameras, arms=none, hands=none)))
    return [*sections, ("not applicable", _not_applicable)]


def _not_applicable() -> list[BenchRow]:
    return [BenchRow(name, math.nan, "", note="not applicable: needs an emulated cell") for name in NEEDS_EMULATOR]
