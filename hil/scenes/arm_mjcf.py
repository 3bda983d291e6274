"""An arm, and the hand on it, as MuJoCo XML: capsules from the table in `hil/scenes/fr3.py`, no meshes.

Names in the model: bodies `arm.NAME.link0..7`, joints `arm.NAME.joint1..7`, hand body `arm.NAME.hand` (the hand's
frame: the flange turned by -45 degrees, there with or without a hand), fingers `hand.NAME.finger1|2`.
"""

import math

import numpy as np

from hil.scenes.fr3 import (
    CAPSULES,
    END_STOP_MARGIN_RAD,
    FINGER_BASE_M,
    FINGER_MASS_KG,
    FINGER_STROKE_M,
    FLANGE_OFFSET_M,
    HAND_CAPSULE,
    HAND_INERTIA,
    HAND_TURN_RAD,
    JOINT_DAMPING_NM_S,
    JOINT_TABLE,
    LINK_INERTIAS,
    ROTOR_INERTIA_KG_M2,
    Capsule,
)
from hil.scenes.mjcf import inertial, inertial_of, quat_about_x, quat_about_z, vector
from runtime.cell import Load

SHELL, TRIM, DARK = ".92 .93 .95 1", ".55 .58 .62 1", ".16 .17 .19 1"
# Finger servo: stiffness and damping per finger; what it presses with at most is set at run time.
FINGER_KP_N_M = 10_000.0
FINGER_KV_N_S_M = 63.0
FINGER_ARMATURE_KG = 0.1  # the hand's motor seen from a finger
FINGER_HALF_M = (0.0105, 0.0075, 0.027)  # pad half sizes; its inner face is at y = 0 when closed
_REFERENCE_WIDTH_M = FINGER_STROKE_M  # width at which hand body and fingers add up to HAND_INERTIA exactly


def contact_bits(arm_index: int, arms: int) -> tuple[str, str]:
    """contype/conaffinity attributes of an arm's near (link 0 to 3) and far (link 4 to hand) parts.

    Bit 0 is the environment; each arm has two bits of its own. An arm touches the environment and every other arm, and
    its far part touches its own near part; neighbouring links, which overlap by construction, never meet.
    """
    near, far = 1 << (2 * arm_index + 1), 1 << (2 * arm_index + 2)
    everyone = (1 << (2 * arms + 1)) - 1
    others = everyone & ~(near | far)
    return f'contype="{near}" conaffinity="{others}"', f'contype="{far}" conaffinity="{others | near}"'


def arm_body(name: str, arm_index: int, arms: int, *, hand: str | None, load: Load, on_hand: str = "") -> str:
    """The kinematic tree from link0 on, in the arm's base frame. `on_hand` is XML to put into the hand's frame.

    Gravity is compensated for links and hand (`gravcomp`), as the robot does; what the cell file says the flange
    carries besides hangs there uncompensated until the controller is told of it.
    """
    near, far = contact_bits(arm_index, arms)
    bits = [near] * 4 + [far] * 4
    opened = []
    for index, joint in enumerate(JOINT_TABLE, start=1):
        T_parent = joint.T_parent_joint()
        low, high = joint.lower_rad - END_STOP_MARGIN_RAD, joint.upper_rad + END_STOP_MARGIN_RAD
        opened.append(
            f'<body name="arm.{name}.link{index}" pos="{vector(T_parent[:3, 3])}"'
            f' quat="{vector(quat_about_x(joint.alpha_rad))}" gravcomp="1">'
            + inertial(LINK_INERTIAS[index])
            + f'<joint name="arm.{name}.joint{index}" axis="0 0 1" range="{low!r} {high!r}"'
            f' armature="{ROTOR_INERTIA_KG_M2[index - 1]}" damping="{JOINT_DAMPING_NM_S[index - 1]}"/>'
            + _shells(f"link{index}", bits[index])
        )
    base = (
        f'<geom type="cylinder" size=".09 .012" pos="-.02 0 .012" rgba="{DARK}" mass="0" contype="0" conaffinity="0"/>'
    )
    tool = _tool(name, far, hand=hand, load=load, on_hand=on_hand)
    return base + _shells("link0", near) + "".join(opened) + tool + "</body>" * len(opened)


def _shells(link: str, bits: str) -> str:
    parts = []
    for capsule in CAPSULES:
        if capsule.link != link:
            continue
        # The part that surrounds the joint axis (along z) is drawn in the trim colour: the arm's joints show.
        along_axis = capsule.start_m[:2] == capsule.end_m[:2] and link not in ("link0", "link1", "link3", "link5")
        parts.append(_shell(capsule, TRIM if along_axis else SHELL, bits))
    return "".join(parts)


def _shell(capsule: Capsule, rgba: str, bits: str) -> str:
    ends = vector((*capsule.start_m, *capsule.end_m))
    return f'<geom type="capsule" size="{capsule.radius_m}" fromto="{ends}" rgba="{rgba}" mass="0" {bits}/>'


def _tool(name: str, bits: str, *, hand: str | None, load: Load, on_hand: str) -> str:
    carried = ""
    if load.mass_kg > 0:
        matrix = np.diag(np.maximum(load.inertia_kg_m2, 1e-7))
        carried = (
            f'<body name="arm.{name}.load" pos="0 0 {FLANGE_OFFSET_M}">'
            + inertial_of(load.mass_kg, np.array(load.center_m), matrix)
            + "</body>"
        )
    flange = (
        f'<geom type="cylinder" size=".0315 .006" pos="0 0 {FLANGE_OFFSET_M - 0.006!r}" rgba="{TRIM}" mass="0"'
        ' contype="0" conaffinity="0"/>'
    )
    body = _hand(hand, bits) if hand is not None else ""
    return (
        f'{flange}{carried}<body name="arm.{name}.hand" pos="0 0 {FLANGE_OFFSET_M}" quat="{vector(quat_about_z(HAND_TURN_RAD))}"'
        f' gravcomp="1">{body}{on_hand}</body>'
    )


def _finger_center() -> np.ndarray:
    return np.array([0.0, FINGER_HALF_M[1] + _REFERENCE_WIDTH_M / 2, FINGER_BASE_M + FINGER_HALF_M[2]])


def _finger_inertia() -> np.ndarray:
    x, y, z = (2 * half for half in FINGER_HALF_M)
    return FINGER_MASS_KG / 12 * np.diag([y * y + z * z, x * x + z * z, x * x + y * y])


def _steiner(mass_kg: float, offset_m: np.ndarray) -> np.ndarray:
    return mass_kg * (offset_m @ offset_m * np.eye(3) - np.outer(offset_m, offset_m))


def hand_palm_inertia() -> tuple[float, np.ndarray, np.ndarray]:
    """Mass, centre (3,) and inertia (3, 3) of the hand without its fingers, in the hand's axes.

    Chosen so that palm and fingers together are `HAND_INERTIA` (exactly so at the reference width).
    """
    c, s = math.cos(HAND_TURN_RAD), math.sin(HAND_TURN_RAD)
    R_hand_flange = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    total, center = HAND_INERTIA.mass_kg, R_hand_flange @ np.array(HAND_INERTIA.center_m)
    matrix = R_hand_flange @ np.diag(HAND_INERTIA.inertia_kg_m2) @ R_hand_flange.T
    fingers = [_finger_center(), _finger_center() * (1, -1, 1)]
    palm_mass = total - 2 * FINGER_MASS_KG
    palm_center = (total * center - FINGER_MASS_KG * (fingers[0] + fingers[1])) / palm_mass
    for finger in fingers:
        matrix = matrix - _finger_inertia() - _steiner(FINGER_MASS_KG, finger - center)
    return palm_mass, palm_center, matrix - _steiner(palm_mass, palm_center - center)


def _hand(name: str, bits: str) -> str:
    mass, center, matrix = hand_palm_inertia()
    fx, fy, fz = FINGER_HALF_M
    finger_inertial = inertial_of(FINGER_MASS_KG, np.zeros(3), _finger_inertia())
    fingers = ""
    for number, side in ((1, 1), (2, -1)):
        fingers += (
            f'<body name="hand.{name}.finger{number}" pos="0 {side * fy!r} {FINGER_BASE_M + fz!r}" gravcomp="1">'
            f'{finger_inertial}<joint name="hand.{name}.finger{number}" type="slide" axis="0 {side} 0"'
            f' range="0 {FINGER_STROKE_M}" armature="{FINGER_ARMATURE_KG}" damping="1" solreflimit=".005 1"/>'
            f'<geom name="hand.{name}.pad{number}" type="box" size="{fx} {fy} {fz}" mass="0" rgba="{TRIM}" {bits}'
            ' condim="4" friction="1.2 .01 .001" solref=".005 1" solimp=".95 .99 .0005"/>'
            f'<geom type="box" size="{fx + 0.001} .002 .009" pos="0 {-side * (fy - 0.0019)!r} {fz - 0.010!r}"'
            f' rgba="{DARK}" mass="0" contype="0" conaffinity="0"/></body>'
        )
    return (
        f"{inertial_of(mass, center, matrix)}"
        f"{_shell(HAND_CAPSULE, SHELL, bits)}"
        f'<geom type="box" size=".016 .095 .006" pos="0 0 .058" rgba="{DARK}" mass="0" contype="0" conaffinity="0"/>'
        f"{fingers}"
    )


def hand_mechanics(name: str) -> tuple[str, str]:
    """The hand's <equality> and <actuator> lines: fingers coupled as by the belt, one position servo each."""
    joint = f"hand.{name}.finger"
    coupling = f'<joint joint1="{joint}1" joint2="{joint}2" solref=".005 1" solimp=".95 .99 .0005"/>'
    servos = "".join(
        f'<position name="{joint}{number}" joint="{joint}{number}" kp="{FINGER_KP_N_M}" kv="{FINGER_KV_N_S_M}"'
        ' forcerange="-20 20"/>'
        for number in (1, 2)
    )
    return coupling, servos


def brakes(name: str) -> str:
    """<equality> lines that hold each joint where it is; inactive until the brakes close."""
    return "".join(
        f'<joint name="arm.{name}.brake{number}" joint1="arm.{name}.joint{number}" active="false"'
        ' solref=".004 1" solimp=".99 .9999 .0001"/>'
        for number in range(1, len(JOINT_TABLE) + 1)
    )
