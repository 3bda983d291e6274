"""A latched fault outlives the process that saw it."""

import pytest

from launch import latch
from launch.latch import Latch, LatchError


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("SINEW_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_fault_is_kept_until_cleared(state):
    assert latch.load("a") is None
    fault = Latch("reflex", "the robot stopped by its own reflex", 5)
    latch.save("a", fault)
    assert latch.load("a") == fault
    assert latch.load("b") is None
    assert latch.kept() == {"a": fault}
    latch.clear("a")
    assert latch.load("a") is None
    latch.clear("a")


def test_the_first_fault_stays():
    latch.save("a", Latch("first", "one", 1))
    latch.save("a", Latch("second", "two", 2))
    assert latch.load("a").cause == "first"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cause": "x"}', '{"cause": "x", "text": "y", "wall_ns": "z"}'])
def test_a_damaged_latch_counts_as_latched(state, text):
    state.mkdir()
    (state / "a.latch.json").write_text(text)
    assert latch.load("a").cause == "unreadable_latch"


def test_a_latch_that_cannot_be_kept_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SINEW_STATE", str(tmp_path / "file"))
    with pytest.raises(LatchError, match="'reflex' could not be kept"):
        latch.save("a", Latch("reflex", "text", 1))
