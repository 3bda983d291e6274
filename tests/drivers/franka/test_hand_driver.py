"""The hand driver as a state machine, against addresses where no hand answers: time is an argument, nothing waits."""

import math
import socket
import uuid

import numpy as np
import pytest

from drivers.franka.hand_driver import CONNECT_NS, FIRST_RETRY_NS, HAND_PORT, LAST_RETRY_NS, HandDriver
from runtime.clock import MonotonicClock
from runtime.rows import HAND_STATE, REQUEST, DriverState, RequestKind, RequestStatus
from runtime.ticker import sleep_ns

MS = 1_000_000
PATIENCE = 20_000  # turns of 1 ms: a safety net against hanging, not a figure


@pytest.fixture
def host():
    number = uuid.uuid4().int
    return f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{number // 65536 % 250 + 1}"


class Bench:
    """A driver with its events and a time of its own."""

    def __init__(self, host):
        self.events = []
        self.driver = HandDriver("main", host, 100 * MS, MonotonicClock(), lambda *event: self.events.append(event))
        self.now_ns = 10**12
        self.row = np.zeros(1, HAND_STATE)[0]

    def step_until(self, condition, step_ns=0):
        for _ in range(PATIENCE):
            self.driver.step(self.now_ns)
            self.driver.fill(self.row, self.now_ns)
            if condition():
                return
            self.now_ns += step_ns
            sleep_ns(MS)
        raise AssertionError(f"never; events: {self.events}")

    def ask(self, request_id, kind, values=()):
        row = np.zeros(1, REQUEST)[0]
        row["id"], row["kind"] = request_id, kind
        row["values"][: len(values)] = values
        self.driver.ask(row, self.now_ns)

    def said(self, code):
        return [text for _, found, text in self.events if found == code]


@pytest.fixture
def bench(host):
    one = Bench(host)
    yield one
    one.driver.close()


def test_an_absent_hand_is_not_ready_named_with_its_remedy_and_shows_no_width(bench, host):
    bench.step_until(lambda: bench.said("hand_not_connected"))
    text = bench.said("hand_not_connected")[0]
    for words in ("hand 'main'", f"{host}:{HAND_PORT}", "check that", "next attempt in 0.5 s"):
        assert words in text
    assert bench.row["driver_state"] == DriverState.NOT_READY
    assert math.isnan(bench.row["width_m"])
    assert math.isnan(bench.row["max_width_m"])
    assert bench.row["is_grasped"] == 0


def test_attempts_to_connect_come_ever_more_rarely_and_never_stop(bench):
    waits, before = [], 0
    for attempt in range(1, 8):
        bench.step_until(lambda attempt=attempt: len(bench.said("hand_not_connected")) == attempt)
        if before:
            waits.append(bench.now_ns - before)
        before = bench.now_ns
        due_ns = min(FIRST_RETRY_NS << (attempt - 1), LAST_RETRY_NS)
        bench.now_ns += due_ns - 1
        bench.driver.step(bench.now_ns)
        assert bench.driver._connecting is None, "an attempt came before its time"
        bench.now_ns += 1
    assert waits == [min(FIRST_RETRY_NS << number, LAST_RETRY_NS) for number in range(6)]


def test_a_server_that_accepts_and_says_nothing_is_given_up_in_bounded_time(bench, host):
    with socket.socket() as mute:
        mute.bind((host, HAND_PORT))
        mute.listen()
        bench.driver.step(bench.now_ns)
        connection, _ = mute.accept()
        bench.now_ns += CONNECT_NS
        bench.driver.step(bench.now_ns)
        assert not bench.said("hand_not_connected")
        bench.now_ns += 1
        bench.driver.step(bench.now_ns)
        assert "no answer within 3 s" in bench.said("hand_not_connected")[0]
        with connection:
            connection.settimeout(30.0)
            while connection.recv(4096):
                pass  # its CONNECT; then the end: the driver's connection is cut, not left open behind its back


@pytest.mark.parametrize(
    ("kind", "values"),
    [(RequestKind.HAND_MOVE, (0.04, 0.1)), (RequestKind.HAND_HOMING, ()), (RequestKind.HAND_STOP, ()),
     (RequestKind.HAND_GRASP, (0.04, 0.1, 20.0, 0.005, 0.005)), (RequestKind.ENABLE, ()), (77, ())],
)  # fmt: skip
def test_without_a_hand_every_request_is_refused_with_the_reason(bench, kind, values):
    bench.ask(5, kind, values)
    bench.driver.fill(bench.row, bench.now_ns)
    assert (bench.row["request_id"], bench.row["request_status"]) == (5, RequestStatus.REFUSED)
    assert len(bench.said("hand_refused")) == 1
    assert not bench.row["busy"]


def test_a_reconnect_that_fails_says_so(bench):
    bench.ask(3, RequestKind.RECONNECT)
    bench.step_until(lambda: bench.driver.request_status is RequestStatus.FAILED)
    assert "reconnect" in bench.said("hand_failed")[0]


def test_a_name_without_an_address_is_said(bench):
    bench.driver.host = "no-such-host.invalid"
    bench.step_until(lambda: bench.said("hand_not_connected"))
    assert "no-such-host.invalid" in bench.said("hand_not_connected")[0]
