import os
import socket
import struct
import subprocess
import sys
import uuid

import pytest

from drivers.franka.errors import NoConnectionError, RobotHeldError
from drivers.franka.robot_lock import RobotLock, resolve


def host():
    number = uuid.uuid4().int
    return f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{number // 65536 % 250 + 1}"


def test_one_robot_under_two_names_has_one_driver():
    address = host()
    other_name = hex(struct.unpack(">I", socket.inet_aton(address))[0])  # resolvers read it as the same address
    assert resolve(other_name) == resolve(address) == address
    lock = RobotLock(address, resolve(address))
    with pytest.raises(RobotHeldError, match=rf"'{other_name}' \(address {address}\) is held by process {os.getpid()}"):
        RobotLock(other_name, resolve(other_name))
    lock.release()
    RobotLock(other_name, resolve(other_name)).release()


def test_holder_in_another_process_is_named_and_its_death_frees_the_robot():
    address = host()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from drivers.franka.robot_lock import RobotLock; lock = RobotLock('a', '{address}');"
            "print('held', flush=True); import signal; signal.pause()",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RobotHeldError, match=f"held by process {holder.pid}: one robot has one driver"):
            RobotLock("b", address)
    finally:
        holder.kill()
        holder.wait(10)
        holder.stdout.close()
    RobotLock("b", address).release()


def test_a_name_without_an_address_is_refused():
    with pytest.raises(NoConnectionError, match=r"no-such-robot\.invalid"):
        resolve("no-such-robot.invalid")
