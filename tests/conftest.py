"""What every test leaves as it found it."""

import os

import pytest


@pytest.fixture(autouse=True)
def _same_scheduling_class():
    """libfranka raises the thread that calls it to SCHED_FIFO where that is permitted: give it back after each test.

    A worker left in a real-time class would lend its rights and its priority to every test after it.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    yield
    if (os.sched_getscheduler(0), os.sched_getparam(0)) != before:
        os.sched_setscheduler(0, *before)
