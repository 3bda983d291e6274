"""`sinew cell` and `sinew fault` as people type them."""

import signal
import subprocess
import sys
import uuid

import pytest

from hil.cell_client import CellClient
from hil.fci.faults import FAULTS
from launch.cli import main
from launch.verbs.fault import parse_value
from runtime.errors import SinewError
from runtime.ring import instance_dir


@pytest.fixture
def instance():
    return f"test-{uuid.uuid4().hex[:8]}"


def host():
    number = uuid.uuid4().int
    return f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{number // 65536 % 250 + 1}"


@pytest.fixture
def running(instance):
    """`sinew cell emulated` in the foreground of a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "launch", "cell", "emulated", "--instance", instance, "--host", host(), "--no-render"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with CellClient(instance, wait_s=60.0) as client:
        yield client
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output.endswith("ended\n")
    assert not instance_dir(instance).exists()


def test_a_fault_typed_with_options_between_its_arguments_strikes(running, instance, capsys):
    at_s = running.robot_time_s() + 0.1
    words = ["fault", "push", "link=7", "--instance", instance, "--at", f"{at_s:.3f}", "force_x_n=50", "duration_ms=30"]
    assert main(words) == 0
    assert (
        f"push link=7 force_x_n=50 force_y_n=0 force_z_n=0 duration_ms=30 on 'main' at {at_s:.3f} s"
        in capsys.readouterr().out
    )
    assert main(["fault", "user_stop", "--instance", instance]) == 0
    running.wait_robot_time(running.robot_time_s() + 0.01, 60.0)
    assert running.status()["arms"]["main"]["mode"] == "user_stopped"
    assert main(["fault", "--clear", "--instance", instance]) == 0
    assert running.status()["pending_faults"] == []
    assert main(["fault", "user_stpo", "--instance", instance]) == 1
    assert "did you mean 'user_stop'" in capsys.readouterr().err


def test_every_fault_is_listed_with_its_sentence(capsys):
    assert main(["fault", "--list"]) == 0
    listed = capsys.readouterr().out
    for name, kind in FAULTS.items():
        assert f"{name}: {kind.says}\n" in listed
    assert "hand_silent: " in listed


@pytest.mark.parametrize("words", [[], ["user_stop", "--list"], ["--list", "--clear"]])
def test_wrong_use_of_fault_is_status_2(words, capsys):
    assert main(["fault", *words]) == 2
    assert "--list" in capsys.readouterr().err


def test_a_fault_without_a_running_cell_says_what_to_start(instance, capsys):
    assert main(["fault", "user_stop", "--instance", instance]) == 1
    assert "sinew cell" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["link", "link=", "link=seven", "=7="])
def test_an_argument_that_is_no_number_is_refused(text):
    with pytest.raises(SinewError, match="key=number"):
        parse_value(text)


def test_a_real_cell_is_no_emulated_one(tmp_path, capsys):
    path = tmp_path / "real.yaml"
    path.write_text(
        "schema: sinew.cell/1\nname: real\narms:\n  main:\n    driver: franka\n    host: 172.16.0.2\n"
        "    T_flange_ee: {}\n    home_q_rad: [0, -0.785, 0, -2.356, 0, 1.571, 0.785]\n"
    )
    assert main(["cell", str(path)]) == 1
    assert "real cell" in capsys.readouterr().err
