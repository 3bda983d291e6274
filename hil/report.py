"""What a bench answers: rows, a table for people, JSON and JUnit for machines. The JSON layout is a contract (DESIGN 10)."""

import json
import math
import os
import platform
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class BenchRow:
    """One measured number.

    `limit` is None where a number is shown for comparison only; such a row is always ok. `baseline` is the yardstick
    measured in the same run and `ratio` is value over baseline, where there is one.
    """

    name: str
    value: float
    unit: str
    limit: float | None = None
    better: Literal["less", "more", "equal"] = "less"
    baseline: float | None = None
    ratio: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        if self.limit is None:
            return True
        # A NaN value compares false everywhere: a number that could not be measured is not ok.
        if self.better == "less":
            return self.value <= self.limit
        if self.better == "more":
            return self.value >= self.limit
        return self.value == self.limit


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip() or "unknown",
        "load_1min": round(os.getloadavg()[0], 2),
    }


def as_json(name: str, rows: list[BenchRow]) -> dict[str, object]:
    """The contract's layout."""
    return {"bench": name, "machine": machine(), "rows": [{**_plain(asdict(row)), "ok": row.ok} for row in rows]}


def _plain(row: dict[str, object]) -> dict[str, object]:
    """JSON has no NaN: a number that could not be measured is null."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


def write_json(path: Path, name: str, rows: list[BenchRow]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(name, rows), indent=2) + "\n")


def write_junit(path: Path, name: str, rows: list[BenchRow]) -> None:
    """One test case per row; a row that is not ok is a failure with value and limit."""
    failures = [row for row in rows if not row.ok]
    suite = ET.Element("testsuite", name=f"sinew.{name}", tests=str(len(rows)), failures=str(len(failures)))
    for row in rows:
        case = ET.SubElement(suite, "testcase", classname=f"sinew.{name}", name=row.name)
        if not row.ok:
            text = f"{row.value:.6g} {row.unit}, limit {row.limit:.6g} ({row.better} is better) {row.note}"
            ET.SubElement(case, "failure", message=text)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suite).write(path, encoding="unicode", xml_declaration=True)


def print_table(name: str, rows: list[BenchRow]) -> None:
    """The rows for a person: value, limit, verdict, yardstick."""
    print(f"\n{name}")
    width = max((len(row.name) for row in rows), default=4)
    signs = {"less": "<=", "more": ">=", "equal": "=="}
    for row in rows:
        limit = f"{signs[row.better]} {row.limit:g}" if row.limit is not None else ""
        verdict = ("ok" if row.ok else "NOT MET") if row.limit is not None else ""
        yardstick = (
            f"(baseline {row.baseline:.4g}, ratio {row.ratio:.3g})"
            if row.baseline is not None and row.ratio is not None
            else ""
        )
        print(
            f"  {row.name:<{width}} {row.value:>12.5g} {row.unit:<8} {limit:<12} {verdict:<8} {yardstick} {row.note}".rstrip()
        )
    failed = sum(not row.ok for row in rows)
    print(f"  {len(rows)} rows, {failed} not met" if failed else f"  {len(rows)} rows, all met")
