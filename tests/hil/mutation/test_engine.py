"""The engine tells killed from survived on real modules and real tests."""

import json
import subprocess
import sys

import pytest

from hil.benches.mutation import listed_survivors
from hil.mutation.engine import ROOT

_RUN = """
import json
from hil.mutation.engine import run
outcomes, not_applied, tests = run(["runtime/ticker.py"], ["tests/runtime/test_clock.py"])
print(json.dumps([tests, len(not_applied), {one.mutant.key: one.killed for one in outcomes}]))
"""


def test_a_tested_change_is_killed_and_an_untested_one_survives():
    done = subprocess.run([sys.executable, "-c", _RUN], cwd=ROOT, capture_output=True, text=True, check=True)
    tests, not_applied, killed = json.loads(done.stdout.splitlines()[-1])
    assert tests >= 3
    assert not_applied == 0
    grid = {key: dead for key, dead in killed.items() if "Grid.advance" in key}
    assert len(grid) >= 8
    assert all(grid.values()), [key for key, dead in grid.items() if not dead]
    pinning = {key: dead for key, dead in killed.items() if "pin_to_cpu::removed statement" in key}
    assert pinning
    assert not any(pinning.values()), "nothing in that file tests pinning: these must survive"


def test_a_listed_survivor_needs_an_argument():
    assert listed_survivors("# text\na::b\n    because it is so\n    and so\n") == {"a::b": "because it is so and so"}
    with pytest.raises(ValueError, match="no argument"):
        listed_survivors("a::b\nc::d\n  why\n")
