"""Makes .venv and installs what pyproject.toml pins: the only code that runs before the environment exists.

Standard library only. Called by the `sinew` launcher with one group (`base`, `dev`, `train`); it does nothing when the
group's stamp equals pyproject.toml. One installer runs at a time (file lock); a second waits and finds it done.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"


def missing_debian(packages: list[str]) -> list[str]:
    """The packages of the list that dpkg does not report as installed; empty where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        print(f"sinew: this is not a Debian system: make sure that the equivalents of {' '.join(packages)} are there")
        return []
    missing = []
    for package in packages:
        query = ["dpkg-query", "-W", "-f=${db:Status-Status}", package]
        status = subprocess.run(query, capture_output=True, text=True, check=False)
        if status.stdout.strip() != "installed":
            missing.append(package)
    return missing


def install_debian(packages: list[str]) -> None:
    missing = missing_debian(packages)
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        sys.exit(
            "sinew: Debian packages are missing and only root can install them. Run:\n"
            f"  sudo apt-get update && sudo {' '.join(command)}\nthen run the same sinew command again."
        )
    print(f"sinew: installing Debian packages: {' '.join(missing)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update", "-qq"], command):
        done = subprocess.run(step, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            sys.exit(f"sinew: '{' '.join(step)}' failed with status {done.returncode}: see the lines above")


def make_venv() -> Path:
    python = VENV / "bin" / "python"
    # Run it rather than look for it: a copied or moved checkout leaves a python that points nowhere.
    if (
        python.exists()
        and subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    ):
        return python
    print(f"sinew: making {VENV.name} with Python {sys.version.split()[0]}", flush=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        sys.exit(
            f"sinew: could not make {VENV}:\n{made.stdout}{made.stderr}"
            "On Debian: 'apt-get install -y python3-venv', then run the same command again."
        )
    return python


def main(group: str) -> None:
    project_text = (ROOT / "pyproject.toml").read_bytes()
    project = tomllib.loads(project_text.decode())
    debian = project["tool"]["sinew"]["debian" if group == "base" else f"debian_{group}"] if group != "train" else []
    if group == "base":
        requirements = project["project"]["dependencies"]
    else:
        requirements = project["project"]["optional-dependencies"][group]
    if group == "base" and shutil.which("dpkg-query") and missing_debian(["python3-venv"]):
        # A python that is not Debian's own brings venv along: only ask for the package where it is really needed.
        probe = subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True, check=False)
        debian = [*debian, "python3-venv"] if probe.returncode else debian
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = VENV / f"sinew-{group}.stamp"
        if stamp.exists() and stamp.read_bytes() == project_text:
            return
        install_debian(debian)
        python = make_venv()
        print(
            f"sinew: installing {len(requirements)} pinned packages ({group}); the first time takes minutes", flush=True
        )
        pip = [
            str(python),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
            *requirements,
        ]
        with subprocess.Popen(pip, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            for line in running.stdout:
                if line.startswith(("Collecting", "Downloading", "Installing", "Building")):
                    print(f"  {line.strip()[:110]}", flush=True)
        if running.returncode:
            sys.exit(
                f"sinew: pip failed with status {running.returncode}: see the lines above, then run the command again"
            )
        stamp.write_bytes(project_text)
        print(f"sinew: {group} is ready", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
