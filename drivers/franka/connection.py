"""Connecting to a robot: version check, settings of the cell file, and what the robot says of itself."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import franky
import numpy as np

from drivers.franka.errors import NoConnectionError, UnsupportedServerError
from drivers.franka.limits import JointLimits, read_limits
from drivers.franka.settings import Settings, apply_settings

# Robot server version -> the franky-control wheel that speaks it, and the robots that have it (franky
# doc/compatibility.json). PyPI has only the newest wheel; the others are on the project's release page.
WHEELS = {
    10: "franky-control 2.0.0 with libfranka 0.21 (FR3, system image 5.9 or newer)",
    9: "a franky-control wheel with libfranka 0.17.0 (FR3, system image 5.7)",
    8: "a franky-control wheel with libfranka 0.14.2 (FR3)",
    7: "a franky-control wheel with libfranka 0.13.3 (FR3)",
    6: "a franky-control wheel with libfranka 0.12.1 (FR3)",
    5: "a franky-control wheel with libfranka 0.9.2 (Panda)",
    4: "a franky-control wheel with libfranka 0.8.0 (Panda)",
}
SUPPORTED_SERVER = 10  # of the pinned wheel: libfranka connects to exactly this version

# FR3 acceleration and jerk limits (libfranka rate_limiting.h); the URDF does not carry them. franky 2.0.0 plans with the
# Panda's by default (15 rad/s2 for joint 1, up to 10000 rad/s3), which the FR3 answers with a discontinuity reflex.
FR3_ACCELERATION_RAD_S2 = 10.0
FR3_JERK_RAD_S3 = 5000.0


@dataclass(frozen=True)
class Identity:
    """What the driver learnt at connect."""

    host: str
    address: str
    server_version: int
    client: str
    urdf: str
    limits: JointLimits
    T_flange_ee: np.ndarray
    connect_wall_ns: int

    def write(self, path: Path, settings: Settings) -> None:
        """The identity file of docs/processes.md, replaced in one step so that no reader meets half of it."""
        data = {
            "schema": "sinew.arm_identity/1",
            "host": self.host,
            "address": self.address,
            "server_version": self.server_version,
            "client": self.client,
            "T_flange_ee": self.T_flange_ee.tolist(),
            "load": settings.load.model_dump(),
            "collision": settings.collision.model_dump(),
            "urdf_sha256": hashlib.sha256(self.urdf.encode()).hexdigest(),
            "limits": self.limits.as_dict(),
            "connect_wall_ns": self.connect_wall_ns,
            "urdf": self.urdf,
        }
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.new.json")
        temporary.write_text(json.dumps(data))
        os.replace(temporary, path)


@dataclass(frozen=True)
class Connected:
    """A fresh connection. `settings_problem` says why the cell's settings could not be set yet, if so."""

    robot: franky.Robot
    identity: Identity
    settings_problem: str | None


def connect(host: str, address: str, settings: Settings, *, enforce_realtime: bool, wall_ns: int) -> Connected:
    """Open the robot, set what the cell file says, read what it is. Blocks; runs on a `Caller`.

    Args:
        host: as written in the cell file; address: what it resolved to.
        enforce_realtime: let libfranka refuse a kernel without real-time scheduling (real cells).
        wall_ns: label for the identity file [ns since 1970].

    Raises:
        UnsupportedServerError: the robot's server speaks another version; names it and the remedy.
        NoConnectionError: refused, no answer, or no real-time kernel on a real cell.
        RobotModelError: its URDF lacks limits.
    """
    config = franky.RealtimeConfig.Enforce if enforce_realtime else franky.RealtimeConfig.Ignore
    try:
        robot = franky.Robot(address, realtime_config=config)
    except franky.IncompatibleVersionException as error:
        raise UnsupportedServerError(_version_text(host, str(error))) from None
    except franky.RealtimeException as error:
        raise NoConnectionError(
            f"robot '{host}': {error} A real arm needs a PREEMPT_RT kernel: boot one, or start with --allow-no-rt "
            "(recorded with the run)"
        ) from None
    except (franky.Exception, RuntimeError) as error:
        raise NoConnectionError(
            f"robot '{host}' (address {address}): {error}: check cable and address, that the brakes are open and FCI is "
            "active in Desk, and that no other program is connected"
        ) from None
    robot.joint_acceleration_limit.set(np.minimum(robot.joint_acceleration_limit.max, FR3_ACCELERATION_RAD_S2))
    robot.joint_jerk_limit.set(np.minimum(robot.joint_jerk_limit.max, FR3_JERK_RAD_S3))
    urdf = robot.model_urdf
    planner = (robot.joint_velocity_limit.max, robot.joint_acceleration_limit.get(), robot.joint_jerk_limit.get())
    limits = read_limits(urdf, *(tuple(float(value) for value in column) for column in planner))
    robot.joint_velocity_limit.set(np.array(limits.velocity_rad_s))
    problem = apply_settings(robot, settings)
    identity = Identity(
        host,
        address,
        SUPPORTED_SERVER,
        f"franky-control {version('franky-control')}",
        urdf,
        limits,
        np.array(robot.state.F_T_EE.matrix),
        wall_ns,
    )
    return Connected(robot, identity, problem)


def _version_text(host: str, message: str) -> str:
    found = re.search(r"server version: (\d+)", message)
    server = int(found.group(1)) if found else 0
    remedy = WHEELS.get(server, "no known wheel: update the robot's system image")
    return (
        f"robot '{host}' has server version {server or 'unknown'}; this installation "
        f"(franky-control {version('franky-control')}) speaks {SUPPORTED_SERVER} only: install {remedy}, "
        "or update the robot's system image to 5.9 or newer"
    )
