"""A busy port is a refusal that names its holder."""

import os
import subprocess
import sys
import uuid

import pytest

from hil.fci.listen import PortError, listen, port_holder


def address():
    """A loopback address no other test worker uses."""
    number = uuid.uuid4().int
    return f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{number // 65536 % 250 + 1}"


def test_a_busy_port_names_the_pid_of_its_holder():
    host = address()
    code = (
        "import sys; from hil.fci.listen import listen\n"
        "server = listen(sys.argv[1], 1338); print('up', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, host], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "up\n"
        with pytest.raises(PortError, match=rf"{host}:1338: .*process {holder.pid} .*listen.*kill {holder.pid}"):
            listen(host, 1338)
    finally:
        holder.communicate("")
    listen(host, 1338).close()
    assert port_holder(host, 1338) is None


def test_a_free_port_has_no_holder_and_ours_is_found():
    host = address()
    assert port_holder(host, 1338) is None
    with listen(host, 1338):
        assert port_holder(host, 1338) == os.getpid()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "", "localhost", "::1", "127.0.0.1.5"])
def test_only_loopback_addresses_are_listened_at(host):
    with pytest.raises(PortError, match="loopback"):
        listen(host, 1338)
