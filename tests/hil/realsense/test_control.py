import json
import os
import socket
import threading
import uuid

import pytest

from hil.realsense.control import FaultSocket
from hil.realsense.script import CameraFaultError, camera_fault, fault, socket_name
from runtime.ring import instance_dir, remove_dead_rings
from runtime.ticker import sleep_ns


@pytest.fixture
def instance():
    name = f"cam-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    yield name
    remove_dead_rings(name)


@pytest.fixture
def ear(instance):
    made = FaultSocket(instance, "front")
    yield made
    made.close()


def heard(ear, speak):
    """Run `speak` in a thread while the ear is polled; returns what was heard and raises what speak raised."""
    faults, raised = [], []

    def run():
        try:
            speak()
        except CameraFaultError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        faults += ear.poll()
        sleep_ns(1_000_000)
    thread.join()
    faults += ear.poll()
    if raised:
        raise raised[0]
    return faults


def send(instance, message):
    path = str(instance_dir(instance) / socket_name("front"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.bind("")
        client.sendto(message, path)
        client.settimeout(5)
        return client.recv(4096).decode()


def test_a_fault_arrives_with_its_arguments(instance, ear):
    assert heard(ear, lambda: camera_fault(instance, "front", "late", by_ms=70)) == [fault("late", {"by_ms": 70})]


def test_faults_of_two_senders_both_arrive(instance, ear):
    faults = heard(ear, lambda: (camera_fault(instance, "front", "drop"), camera_fault(instance, "front", "unplug")))
    assert [one.name for one in faults] == ["drop", "unplug"]


@pytest.mark.parametrize(
    "message",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"fault": 3}', b'{"fault": "drop", "arguments": []}', b'{"fault": "blind"}',
        b'{"fault": "drop", "arguments": {"frames": 1e99}}', b'{"fault": "drop", "other": 1}', b'{"fault": "drop"' + b" " * 9000,
        json.dumps({"fault": "drop", "arguments": {"frames": None}}).encode(),
    ],
)  # fmt: skip
def test_a_wrong_message_is_answered_with_a_sentence_and_the_next_one_served(instance, ear, message):
    answers = []
    assert heard(ear, lambda: answers.append(send(instance, message))) == []
    assert answers[0] != "ok"
    assert answers[0]
    assert len(heard(ear, lambda: camera_fault(instance, "front", "drop"))) == 1


def test_a_socket_that_a_killed_process_left_behind_is_replaced(instance, ear):
    again = FaultSocket(instance, "front")
    assert len(heard(again, lambda: camera_fault(instance, "front", "drop"))) == 1
    again.close()
    with pytest.raises(CameraFaultError, match="does not run"):
        camera_fault(instance, "front", "drop")
