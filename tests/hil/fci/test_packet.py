"""The state packet: fields land where the wire's layout says."""

import numpy as np
import pytest

from hil.fci.errors import ErrorFlag
from hil.fci.packet import StatePacket
from hil.fci.protocol import STATE


def decoded(packet):
    return np.frombuffer(packet.copy(), STATE)[0]


def test_matrices_are_column_major_on_the_wire():
    packet = StatePacket()
    packet.O_T_EE[:] = np.arange(16.0).reshape(4, 4)
    assert decoded(packet)["O_T_EE"].tolist() == np.arange(16.0).reshape(4, 4).ravel(order="F").tolist()
    assert decoded(packet)["F_T_EE"].tolist() == np.eye(4).ravel().tolist()


def test_bytes_follow_what_is_written_without_a_copy():
    packet = StatePacket()
    packet.head(77)
    packet.modes(2, 3, 1, 0.5)
    packet.q[:] = np.arange(7)
    assert bytes(packet.bytes) == packet.copy()
    row = decoded(packet)
    assert (row["message_id"], row["robot_mode"], row["motion_generator_mode"], row["controller_mode"]) == (77, 2, 3, 1)
    assert row["control_command_success_rate"] == 0.5
    assert row["q"].tolist() == list(range(7))
    assert len(packet.bytes) == 1377


def test_flags_are_single_bytes_in_wire_order_and_are_cleared():
    packet = StatePacket()
    packet.flags(frozenset({ErrorFlag.JOINT_REFLEX}), frozenset({ErrorFlag.BASE_ACCELERATION_INVALID_READING}))
    row = decoded(packet)
    assert np.flatnonzero(row["errors"]).tolist() == [6]
    assert np.flatnonzero(row["reflex_reason"]).tolist() == [40]
    packet.flags(frozenset(), frozenset())
    assert not decoded(packet)["errors"].any()
    assert not decoded(packet)["reflex_reason"].any()


def test_misspelt_field_is_an_error():
    with pytest.raises(AttributeError, match="no vector field 'q_dd'"):
        StatePacket().q_dd  # noqa: B018 reading is the test
