"""The panel answers in bounded lines, refuses by name, and outlives every client."""

import json
import socket
import threading
import uuid

import pytest

from hil.cell_client import CellClient
from hil.fci.panel_socket import MAX_CLIENTS, MAX_REQUEST_BYTES, PanelError, PanelSocket, socket_address
from runtime.ring import instance_dir
from runtime.ticker import sleep_ns


def handle(request):
    if request.get("do") == "echo":
        return request
    if request.get("do") == "big":
        return "x" * (1 << 20)
    raise PanelError(f"no request {request.get('do')!r}: allowed are ['big', 'echo']")


@pytest.fixture(params=["short", "as long as instance names may be"])
def instance(request):
    name = f"test-{uuid.uuid4().hex[:12]}"
    if request.param != "short":
        name = name.ljust(96, "n")
    instance_dir(name).mkdir(mode=0o700)
    yield name
    instance_dir(name).rmdir()  # fails if the socket is left behind


@pytest.fixture
def panel(instance):
    log = []
    panel = PanelSocket(instance, handle, log.append)
    panel.log = log
    stop = threading.Event()

    def run():
        while not stop.is_set():
            panel.poll()
            sleep_ns(200_000)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield panel
    alive = thread.is_alive()
    stop.set()
    thread.join()
    panel.close()
    assert alive, "the panel died"


@pytest.fixture
def raw(panel, instance):
    opened = []

    def connect():
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        with socket_address(instance) as address:
            connection.connect(address)
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def ask(connection, line):
    connection.sendall(line + b"\n")
    received = b""
    while not received.endswith(b"\n"):
        received += connection.recv(65536)
    return json.loads(received)


def test_a_request_is_answered_and_a_refusal_carries_its_sentence(panel, instance):
    with CellClient(instance) as client:
        assert client.ask("echo", value=[1, 2.5, "text"]) == {"do": "echo", "value": [1, 2.5, "text"]}
        with pytest.raises(PanelError, match=r"no request 'dance': allowed are"):
            client.ask("dance")
        with pytest.raises(PanelError, match=r"answer of \d+ bytes"):
            client.ask("big")
        with pytest.raises(PanelError, match="allowed are 8192"):
            client.ask("echo", value="x" * MAX_REQUEST_BYTES)
        assert client.ask("echo") == {"do": "echo"}


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b'{"id": "one", "do": "echo"}', b"[" * 8000])
def test_what_is_no_request_gets_a_sentence_and_the_panel_lives_on(raw, line):
    connection = raw()
    answer = ask(connection, line)
    assert answer["ok"] is False
    assert answer["error"]
    assert ask(connection, b'{"id": 2, "do": "echo"}') == {"id": 2, "ok": True, "result": {"do": "echo"}}


def test_a_line_without_end_is_dropped_at_its_limit(panel, raw):
    connection = raw()
    try:
        for _ in range(8):
            connection.sendall(b"x" * MAX_REQUEST_BYTES)
    except OSError:
        pass
    try:
        assert connection.recv(1) == b""
    except ConnectionResetError:
        pass
    assert any("more than 8192 bytes" in line for line in panel.log)
    assert ask(raw(), b'{"do": "echo"}')["ok"]


def test_a_client_that_never_reads_its_answers_is_dropped(panel, raw):
    connection = raw()
    request = json.dumps({"do": "echo", "value": "x" * 8000}).encode() + b"\n"
    with pytest.raises(OSError):
        for _ in range(2000):
            connection.sendall(request)
    assert any("does not read" in line or "lost while answering" in line for line in panel.log)
    assert ask(raw(), b'{"do": "echo"}')["ok"]


def test_clients_are_bounded_and_their_places_are_free_again(panel, raw):
    connections = [raw() for _ in range(MAX_CLIENTS)]
    assert all(ask(one, b'{"do": "echo"}')["ok"] for one in connections)
    assert raw().recv(1) == b""
    connections[0].close()
    while True:
        try:
            assert ask(raw(), b'{"do": "echo"}')["ok"]
            break
        except (ConnectionResetError, BrokenPipeError, json.JSONDecodeError):
            continue


def test_without_a_cell_the_client_says_what_to_do():
    with pytest.raises(PanelError, match="sinew cell"):
        CellClient(f"test-{uuid.uuid4().hex[:8]}")


def test_a_dead_cells_socket_is_replaced(instance):
    PanelSocket(instance, handle, print)  # never closed and gone at once, as after a kill: its file stays
    assert (instance_dir(instance) / "cell.sock").exists()
    with pytest.raises(PanelError):
        CellClient(instance)
    second = PanelSocket(instance, handle, print)
    with socket.socket(socket.AF_UNIX) as client, socket_address(instance) as address:
        client.connect(address)
    second.close()
