"""State rows of an arm as its driver would write them."""

import numpy as np
import pytest

from runtime.rows import ARM_STATE, ArmActivity, DriverState, RobotMode

HOME = (0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398)


@pytest.fixture
def state_row():
    def make(**fields):
        row = np.zeros(1, ARM_STATE)[0]
        row["q"] = row["q_d"] = HOME
        row["robot_mode"], row["driver_state"] = RobotMode.IDLE, DriverState.OK
        row["activity"] = ArmActivity.IDLE
        for name, value in fields.items():
            row[name] = value
        return row

    return make
