"""The launcher works from anywhere, whatever else is on the path, and says what only root can do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def checkout(tmp_path):
    """A copy of the launcher and the packages at a path with spaces, with this checkout's ready environment."""
    copy = tmp_path / "a path with spaces" / "sinew copy"
    copy.mkdir(parents=True)
    for name in ("sinew", "pyproject.toml"):
        shutil.copy2(ROOT / name, copy / name)
    for package in ("runtime", "drivers", "models", "calibration", "hil", "launch"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy


@pytest.fixture
def decoy(tmp_path):
    """What a sourced ROS 2 leaves behind: a package `launch` on PYTHONPATH, here also in the current directory."""
    package = tmp_path / "ros" / "launch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('the decoy package launch was imported')\n")
    return package.parent


def test_it_runs_from_any_directory_a_path_with_spaces_and_a_shell_with_ros_sourced(checkout, decoy):
    environment = {**os.environ, "PYTHONPATH": str(decoy)}
    done = subprocess.run(
        [str(checkout / "sinew"), "--help"], cwd=decoy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "verbs:" in done.stdout
    assert done.stderr == "", "nothing to do must be silent"
    child = subprocess.run(
        [str(checkout / "sinew"), "bench", "--help"],
        cwd=decoy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr


def test_a_link_to_the_launcher_finds_its_checkout(checkout, tmp_path):
    link = tmp_path / "bin" / "sinew"
    link.parent.mkdir()
    link.symlink_to(checkout / "sinew")
    done = subprocess.run([str(link), "--help"], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_wrong_use_ends_with_status_two_and_lists_the_verbs(checkout):
    done = subprocess.run([str(checkout / "sinew"), "no-such-verb"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no verb 'no-such-verb'" in done.stderr
    assert "bench" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="drops from root to nobody to see what a user without root is told")
def test_without_root_it_prints_the_exact_command_and_stops(tmp_path):
    copy = Path("/tmp") / f"sinew-launcher-test-{os.getpid()}"  # tmp_path's parents are closed to nobody
    (copy / "launch").mkdir(parents=True)
    try:
        shutil.copy2(ROOT / "launch" / "install.py", copy / "launch" / "install.py")
        text = (ROOT / "pyproject.toml").read_text()
        (copy / "pyproject.toml").write_text(text.replace('"libusb-1.0-0",', '"sinew-no-such-package",'))
        for path in (copy, copy / "launch"):
            path.chmod(0o777)
        done = subprocess.run(
            ["/usr/bin/python3", str(copy / "launch" / "install.py"), "base"],
            user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr
        assert "sudo apt-get install -y --no-install-recommends sinew-no-such-package" in done.stderr
        assert not (copy / ".venv").exists()
    finally:
        shutil.rmtree(copy)
