"""The state packet, filled in place: one buffer, one named view per field, no allocation per millisecond."""

import numpy as np

from hil.fci.errors import ErrorFlag
from hil.fci.protocol import STATE


class StatePacket:
    """One packet of `protocol.STATE`. Vector fields are float32 views to assign into: `packet.q[:] = q`.

    4x4 matrices are views of shape (4, 4) that read and write row-major numpy matrices over the wire's column-major
    order: `packet.O_T_EE[:] = T`.
    """

    def __init__(self) -> None:
        self._record = np.zeros(1, STATE)
        self.bytes = self._record.view(np.uint8).data
        for name in STATE.names or ():
            view = self._record[name]
            if view.ndim == 1:
                continue  # scalars have setters below
            view = view[0]
            setattr(self, name, view.reshape(4, 4).T if view.shape == (16,) else view)
        self._flags: tuple[frozenset[ErrorFlag], frozenset[ErrorFlag]] = (frozenset(), frozenset())
        for name in ("O_T_EE", "O_T_EE_d", "O_T_EE_c", "F_T_EE", "EE_T_K", "F_T_NE", "NE_T_EE"):
            self.matrix(name)[:] = np.eye(4)

    def __getattr__(self, name: str) -> np.ndarray:
        raise AttributeError(f"the state packet has no vector field '{name}'")

    def matrix(self, name: str) -> np.ndarray:
        """The (4, 4) view of a matrix field by name."""
        return getattr(self, name)

    @property
    def message_id(self) -> int:
        return int(self._record["message_id"][0])

    def head(self, message_id: int) -> None:
        self._record["message_id"] = message_id

    def modes(self, robot_mode: int, generator: int, controller: int, success_rate: float) -> None:
        """The scalars: reported modes (wire numbers) and the share of commands that arrived, 0 to 1."""
        record = self._record
        record["robot_mode"], record["motion_generator_mode"] = robot_mode, generator
        record["controller_mode"], record["control_command_success_rate"] = controller, success_rate

    def flags(self, errors: frozenset[ErrorFlag], last_errors: frozenset[ErrorFlag]) -> None:
        """Which errors are on now, and which ended the last motion; written only when they change."""
        if (errors, last_errors) == self._flags:
            return
        self._flags = (errors, last_errors)
        for name, flags in (("errors", errors), ("reflex_reason", last_errors)):
            view = getattr(self, name)
            view[:] = 0
            view[list(flags)] = 1

    def copy(self) -> bytes:
        return self._record.tobytes()
