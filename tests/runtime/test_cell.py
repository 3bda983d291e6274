"""A bad cell file is refused with file, key, value and what is allowed; nothing is guessed."""

import copy
import math

import pytest
import yaml

from runtime.cell import CELLS_DIR, MAX_FILE_BYTES, Cell, CellError, load_cell, read_yaml

GOOD = yaml.safe_load((CELLS_DIR / "emulated.yaml").read_text())
FRONT, WRIST = "cameras.front", "cameras.wrist"
REMOVE = "(removed)"


def _edited(path, value):
    """The shipped emulated cell with one key changed, added or removed."""
    data = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    where = data
    for parent in parents:
        where = where[parent]
    if value is REMOVE:
        del where[last]
    else:
        where[last] = value
    return data


def _write(tmp_path, data):
    file = tmp_path / "bench.yaml"
    file.write_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False))
    return file


SECOND_ARM = {**GOOD["arms"]["main"], "host": "127.0.0.2"}

# What is changed, to what, and what the message must name besides the file: key, value, what is allowed.
BAD = [
    ("schema", "sinew.cell/9", ["schema", "'sinew.cell/9'", "'sinew.cell/1'"]),
    ("schema", REMOVE, ["schema", "got nothing", "required"]),
    ("name", "My Cell", ["name", "'My Cell'", "a-z0-9"]),
    ("name", "", ["name", "''", "a-z0-9"]),
    ("name", 7, ["name", "7", "string"]),
    ("arms", {}, ["arms", "{}", "at least 1"]),
    ("arms", REMOVE, ["arms", "required"]),
    ("arms", ["main"], ["arms", "['main']", "dictionary"]),
    ("arm", {}, ["arm", "did you mean 'arms'", "cameras", "hands", "loop"]),
    ("arms/Main Arm", SECOND_ARM, ["arms.Main Arm", "a-z, 0-9"]),
    ("arms/left", GOOD["arms"]["main"], ["127.0.0.1", "more than one arm"]),
    ("arms/main", None, ["arms.main", "None", "dictionary"]),
    ("arms/main/driver", "ur5", ["arms.main.driver", "'ur5'", "'franka'"]),
    ("arms/main/host", REMOVE, ["arms.main.host", "required"]),
    ("arms/main/host", "127.0.0.256", ["arms.main.host", "'127.0.0.256'", "IP address"]),
    ("arms/main/host", "1.2.3", ["arms.main.host", "'1.2.3'", "IP address"]),
    ("arms/main/host", "", ["arms.main.host", "''", "IP address or a host name"]),
    ("arms/main/host", "robot one", ["arms.main.host", "'robot one'", "host name"]),
    ("arms/main/host", "$(reboot)", ["arms.main.host", "$(reboot)", "host name"]),
    ("arms/main/robot", "panda", ["arms.main.robot", "'panda'", "'fr3'"]),
    ("arms/main/T_flange_ee", REMOVE, ["arms.main.T_flange_ee", "required"]),
    ("arms/main/T_flange_ee/xyz_m", [0, 0], ["arms.main.T_flange_ee.xyz_m", "[0, 0]", "at least 3"]),
    ("arms/main/T_flange_ee/rpy_rad", [0, 0, math.nan], ["arms.main.T_flange_ee.rpy_rad.2", "nan", "finite"]),
    ("arms/main/T_flange_ee/rpy_deg", [0, 0, 45], ["rpy_deg", "did you mean 'rpy_rad'", "xyz_m"]),
    ("arms/main/home_q_rad", [0] * 6, ["arms.main.home_q_rad", "at least 7"]),
    ("arms/main/home_q_rad", [0] * 8, ["arms.main.home_q_rad", "at most 7"]),
    ("arms/main/home_q_rad", "home", ["arms.main.home_q_rad", "'home'", "tuple"]),
    ("arms/main/home_q_rad", [0, 0, 0, math.inf, 0, 0, 0], ["arms.main.home_q_rad.3", "inf", "finite"]),
    ("arms/main/home_q_rad", [0, 0, 0, "ten", 0, 0, 0], ["arms.main.home_q_rad.3", "'ten'", "number"]),
    ("arms/main/watchdog_ms", 5, ["arms.main.watchdog_ms", "5", "greater than or equal to 10"]),
    ("arms/main/watchdog_ms", 501, ["arms.main.watchdog_ms", "501", "less than or equal to 500"]),
    ("arms/main/watchdog", 50, ["arms.main.watchdog", "did you mean 'watchdog_ms'"]),
    ("arms/main/speed_factor", 0, ["arms.main.speed_factor", "0", "greater than 0"]),
    ("arms/main/speed_factor", 1.01, ["arms.main.speed_factor", "1.01", "less than or equal to 1"]),
    ("arms/main/command_mode", "torque", ["command_mode", "'torque'", "joint_velocity", "cartesian_impedance"]),
    ("arms/main/command_period_ms", math.nan, ["arms.main.command_period_ms", "nan"]),
    ("arms/main/priority", 99, ["arms.main.priority", "99", "less than or equal to 90"]),
    ("arms/main/priority", 61.5, ["arms.main.priority", "61.5", "integer"]),
    ("arms/main/load", {"mass_kg": -1}, ["arms.main.load.mass_kg", "-1", "greater than or equal to 0"]),
    ("arms/main/collision", {"force_n": [1, 2, 3]}, ["arms.main.collision.force_n", "at least 6"]),
    ("hands/main/arm", "left", ["hands.main.arm", "'left'", "['main']"]),
    ("hands/main/driver", "robotiq", ["hands.main.driver", "'robotiq'", "'franka_hand'"]),
    ("hands/main/read_period_ms", 1, ["hands.main.read_period_ms", "1", "greater than or equal to 20"]),
    ("cameras/front/serial", "12", [f"{FRONT}.serial", "'12'", "\\d{6,16}"]),
    ("cameras/front/serial", 1, [f"{FRONT}.serial", "1", "string"]),
    ("cameras/front/serial", "000000000002", ["cameras", "000000000002", "more than one camera"]),
    ("cameras/front/source", "usb", [f"{FRONT}.source", "'usb'", "'live'", "'file'", "'software'"]),
    ("cameras/front/source", "file", [FRONT, "needs the key 'file'", ".db3"]),
    ("cameras/front/image", {"fps": 24}, [f"{FRONT}.image.fps", "24", "30"]),
    ("cameras/front/image", {"width_px": 32}, [f"{FRONT}.image.width_px", "32", "greater than or equal to 64"]),
    ("cameras/front/image", {"height": 480}, [f"{FRONT}.image.height", "did you mean 'height_px'"]),
    ("cameras/front/depth", True, [f"{FRONT}.depth", "True", "'aligned'"]),
    ("cameras/front/slots", 2, [f"{FRONT}.slots", "2", "greater than or equal to 4"]),
    ("cameras/front/exposure_us", 0, [f"{FRONT}.exposure_us", "0", "greater than 0"]),
    ("cameras/wrist/mounted_on", "left", [f"{WRIST}.mounted_on", "'left'", "['main']"]),
    ("emulated", REMOVE, [f"{FRONT}.source", "'software'", "'emulated'"]),
    ("emulated/profile", "fast", ["emulated.profile", "'fast'", "'lockstep'", "'paced'", "'strict'"]),
    ("emulated/seed", -1, ["emulated.seed", "-1", "greater than or equal to 0"]),
    ("emulated/scene", "kitchen", ["emulated.scene", "'kitchen'", "'table'"]),
    ("limits/profile", "fast", ["limits.profile", "'fast'", "['collaborative', 'full']"]),
    ("limits/profiles/full/tcp_speed_m_s", 10, ["limits.profiles.full.tcp_speed_m_s", "10", "less than or equal to 3"]),
    ("limits/profiles/full/tcp_speed", 1, ["limits.profiles.full.tcp_speed", "did you mean 'tcp_speed_m_s'"]),
    ("limits/workspace/left", {}, ["limits.workspace.left", "no such arm", "['main']"]),
    ("limits/workspace/main/inside/0/size_m", [1, 0, 1], ["inside.0.size_m", "[1, 0, 1]", "positive"]),
    ("limits/workspace/main/half_spaces/0/normal", [0, 0, 2], ["half_spaces.0.normal", "[0, 0, 2]", "unit vector"]),
    ("loop/rate_hz", 300, ["loop.rate_hz", "300", "divide 1000", "200"]),
    ("loop/rate_hz", 20, ["loop.rate_hz", "20", "greater than or equal to 50"]),
    ("loop/rate", 200, ["loop.rate", "did you mean 'rate_hz'"]),
]


def _edit_lists(path, value):
    """Like `_edited`, for paths with a list index in them."""
    data = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    where = data
    for parent in parents:
        where = where[int(parent)] if isinstance(where, list) else where[parent]
    where[last] = value
    return data


@pytest.mark.parametrize(("path", "value", "named"), BAD, ids=[f"{path}={value}"[:60] for path, value, _ in BAD])
def test_every_bad_key_is_refused_by_file_key_value_and_allowed_set(tmp_path, path, value, named):
    data = _edited(path, value) if value is REMOVE else _edit_lists(path, value)
    file = _write(tmp_path, data)
    with pytest.raises(CellError) as raised:
        load_cell(str(file))
    for words in [str(file), *named]:
        assert words in str(raised.value)


def test_all_findings_come_at_once_one_per_line(tmp_path):
    data = copy.deepcopy(GOOD)
    data["arms"]["main"]["speed_factor"] = 7
    data["cameras"]["front"]["serial"] = "x"
    data["loop"]["rate_hz"] = 7
    with pytest.raises(CellError) as raised:
        load_cell(str(_write(tmp_path, data)))
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    for line, key in zip(lines, ("arms.main.speed_factor", "cameras.front.serial", "loop.rate_hz"), strict=True):
        assert key in line


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "a mapping of keys, this is NoneType"),
        ("- arms", "a mapping of keys, this is list"),
        ("arms: [", "not valid YAML"),
        ("name: a\nname: b\n", "'name' is written twice"),
        ("arms: {main: {host: a, host: b}}", "'host' is written twice"),
        ("name: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("name: \x00", "not valid YAML"),
        ("? [a, b]\n: 1\n", "a key is a plain word"),
        ("[" * 2_000, "nested too deeply"),
    ],
)
def test_text_that_is_no_cell_file_is_refused_and_never_executed(tmp_path, text, named):
    file = _write(tmp_path, text)
    with pytest.raises(CellError) as raised:
        load_cell(str(file))
    assert str(file) in str(raised.value)
    assert named in str(raised.value)


def test_a_value_made_enormous_by_aliases_is_refused_in_bounded_text(tmp_path):
    lines = ["name: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 30)]
    with pytest.raises(CellError) as raised:
        load_cell(str(_write(tmp_path, "\n".join(lines))))
    assert "k29" in str(raised.value)
    assert len(str(raised.value)) < 40_000


def test_bytes_that_are_no_text_are_refused(tmp_path):
    file = tmp_path / "binary.yaml"
    file.write_bytes(bytes(range(128, 256)))
    with pytest.raises(CellError, match="not valid YAML"):
        load_cell(str(file))


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "large.yaml"
    with file.open("wb") as sparse:
        sparse.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(CellError, match=f"larger than {MAX_FILE_BYTES} bytes"):
        read_yaml(file)


def test_an_absent_file_and_an_unknown_name_say_what_there_is(tmp_path):
    with pytest.raises(CellError, match=r"nothing.yaml: No such file"):
        load_cell(str(tmp_path / "nothing.yaml"))
    with pytest.raises(CellError, match=r"no cell 'nowhere': known cells are \[.*'emulated'.*\]"):
        load_cell("nowhere")
    with pytest.raises(CellError, match="Is a directory"):
        read_yaml(tmp_path)


@pytest.mark.parametrize("file", sorted(CELLS_DIR.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_cell_loads_and_bears_the_name_of_its_file(file):
    cell = load_cell(str(file))
    assert cell.name == file.stem
    assert load_cell(file.stem) == cell


def test_a_second_arm_and_a_third_camera_are_a_few_lines(tmp_path):
    data = copy.deepcopy(GOOD)
    data["arms"]["left"] = {**SECOND_ARM, "T_base_mount": {"xyz_m": [0, 0.6, 0]}}
    data["cameras"]["left"] = {"driver": "realsense", "source": "software", "serial": "000000000003"}
    cell = load_cell(str(_write(tmp_path, data)))
    assert sorted(cell.arms) == ["left", "main"]
    assert cell.cameras["left"].image.fps == 30
    assert isinstance(cell, Cell)


def test_a_loaded_cell_cannot_be_changed():
    cell = load_cell("emulated")
    with pytest.raises(ValueError, match="frozen"):
        cell.loop.rate_hz = 1000
