import os
import socket
import threading

from drivers.franka.bounded import Caller, cut_connections
from runtime.clock import ManualClock
from runtime.ticker import sleep_ns


def wait_for(condition):
    for _ in range(20_000):
        if condition():
            return
        sleep_ns(500_000)
    raise AssertionError("never came")


def test_calls_run_in_order_and_hand_back_result_or_error():
    clock, order = ManualClock(), []
    caller = Caller(clock, "test", lambda: order.append("start"))

    def fail():
        order.append("second")
        raise ValueError("no")

    first = caller.submit("first", lambda: order.append("first") or 7, 0)
    second = caller.submit("second", fail, 0)
    wait_for(lambda: second.done)
    assert order == ["start", "first", "second"]
    assert (first.result, first.error, first.done_ns) == (7, None, clock.now_ns())
    assert isinstance(second.error, ValueError)
    assert caller.close(5.0)


def test_a_call_that_never_returns_is_overdue_and_can_be_left_behind():
    clock, gate = ManualClock(), threading.Event()
    caller = Caller(clock, "test")
    stuck = caller.submit("stuck", gate.wait, clock.now_ns() + 1000)
    behind = caller.submit("behind", lambda: 1, clock.now_ns() + 1000)
    assert not stuck.overdue(clock.now_ns() + 1000)
    assert stuck.overdue(clock.now_ns() + 1001)
    caller.abandon()
    after = caller.submit("after", lambda: 2, 0)
    wait_for(lambda: after.done)
    assert not stuck.done
    assert not caller.close(0.05), "the stuck thread is still there"
    gate.set()
    wait_for(lambda: behind.done)
    assert caller.close(5.0)


def test_only_connections_to_the_given_peer_are_cut():
    host = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250 + 1}.9"
    servers = []
    for _ in range(2):
        server = socket.create_server((host, 0))
        servers.append((server, server.getsockname()[1]))
    clients = [socket.create_connection((host, port), timeout=10) for _, port in servers]
    peers = [server.accept()[0] for server, _ in servers]
    try:
        assert cut_connections(host, servers[0][1]) == 1
        assert clients[0].recv(1) == b"", "whoever waited on it is released"
        assert peers[0].recv(1) == b"", "the other end sees its client gone"
        peers[1].sendall(b"x")
        assert clients[1].recv(1) == b"x"
        assert cut_connections(host, 9) == 0
    finally:
        for one in (*clients, *peers, *(server for server, _ in servers)):
            one.close()
