import pytest

from runtime.cell import Cell, load_cell

_EE = {"xyz_m": [0, 0, 0.1034], "rpy_rad": [0, 0, -0.7853981633974483]}
_HOME = [0, -0.785398, 0, -2.356194, 0, 1.570796, 0.785398]


@pytest.fixture(scope="session")
def cell() -> Cell:
    return load_cell("emulated")


@pytest.fixture(scope="session")
def two_arm_cell() -> Cell:
    """Two arms facing each other, one of them without a hand; three cameras."""
    camera = {"driver": "realsense", "source": "software", "image": {"width_px": 160, "height_px": 120}}
    return Cell.model_validate(
        {
            "schema": "sinew.cell/1",
            "name": "two",
            "emulated": {},
            "arms": {
                "left": {"driver": "franka", "host": "127.0.0.1", "T_flange_ee": _EE, "home_q_rad": _HOME},
                "right": {
                    "driver": "franka",
                    "host": "127.0.0.2",
                    "T_base_mount": {"xyz_m": [1.0, 0.1, 0.0], "rpy_rad": [0, 0, 3.0]},
                    "T_flange_ee": {},
                    "home_q_rad": _HOME,
                },
            },
            "hands": {"left": {"driver": "franka_hand", "arm": "left"}},
            "cameras": {
                "front": {**camera, "serial": "000000000001"},
                "side": {**camera, "serial": "000000000002"},
                "wrist": {**camera, "serial": "000000000003", "mounted_on": "left"},
            },
        }
    )
