"""The tool frames a client can set: flange F -> nominal end effector NE -> end effector EE -> stiffness frame K.

F_T_NE belongs to the mounted hand and is set in Desk on a real robot; a client sets NE_T_EE and EE_T_K.
"""

import numpy as np


class ToolFrames:
    """Rigid transforms (4, 4); `F_T_EE` and `F_T_K` follow from what is set."""

    def __init__(self, F_T_NE: np.ndarray) -> None:
        self.F_T_NE = F_T_NE.copy()
        self.NE_T_EE = np.eye(4)
        self.EE_T_K = np.eye(4)
        self._update()

    def set_ee(self, NE_T_EE: np.ndarray) -> None:
        self.NE_T_EE = NE_T_EE.copy()
        self._update()

    def set_k(self, EE_T_K: np.ndarray) -> None:
        self.EE_T_K = EE_T_K.copy()
        self._update()

    def _update(self) -> None:
        self.F_T_EE = self.F_T_NE @ self.NE_T_EE
        self.F_T_K = self.F_T_EE @ self.EE_T_K
