"""The command as people type it: every verb explains itself, wrong use is said, nothing runs by accident."""

import json
import uuid

import pytest

from launch.cli import VERBS, main
from runtime.cell import CELLS_DIR


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"]])
def test_help_names_every_verb_in_a_sentence(argv, capsys):
    assert main(argv) == 0
    said = capsys.readouterr().out
    for verb in VERBS:
        assert verb.name in said
        assert verb.sentence in said


def test_no_verb_is_wrong_use_and_an_unknown_one_names_the_known(capsys):
    assert main([]) == 2
    assert main(["fly"]) == 2
    said = capsys.readouterr().err
    assert "no verb 'fly'" in said
    assert all(verb.name in said for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_help_with_its_example(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([verb.name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert verb.example in said
    assert verb.example.split()[:2] == ["sinew", verb.name]


def test_wrong_options_are_wrong_use():
    for argv in (
        ["check"],
        ["hil"],
        ["hil", "drivers"],
        ["hil", "nothing", "--cell", "emulated"],
        ["bench", "nothing"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(argv)
        assert ended.value.code == 2


def test_a_cell_that_is_not_there_is_refused_with_the_known_ones(capsys):
    for argv in (["check", "nowhere"], ["hil", "drivers", "--cell", "nowhere"]):
        assert main(argv) == 1
        assert "known cells are" in capsys.readouterr().err


def _own_cell(tmp_path):
    number = uuid.uuid4().int
    host = f"127.{number % 200 + 20}.{number // 256 % 250 + 1}.{number // 65536 % 250 + 1}"
    cell = tmp_path / "emulated.yaml"
    cell.write_text((CELLS_DIR / "emulated.yaml").read_text().replace("127.0.0.1", host))
    return cell, host


def test_check_starts_an_emulated_cell_that_nobody_runs(tmp_path, capsys):
    cell, _ = _own_cell(tmp_path)
    status = main(["check", str(cell), "--json", str(tmp_path / "out" / "check.json")])
    said = capsys.readouterr().out
    findings = {one["name"]: one for one in json.loads((tmp_path / "out" / "check.json").read_text())["findings"]}
    assert "started for this check" in said
    for name in ("network", "server", "end-effector frame", "limits", "settings", "mode"):
        assert findings[f"arm main: {name}"]["ok"], findings[f"arm main: {name}"]
    unmet = [one for one in findings.values() if one["required"] and not one["ok"]]
    assert status == (1 if unmet else 0)  # a machine may lack room; the robot is there either way


def test_check_of_a_robot_that_is_not_there_names_each_trouble_with_its_remedy(tmp_path, capsys):
    cell, _ = _own_cell(tmp_path)
    text = cell.read_text()
    start, end = text.index("emulated:"), text.index("arms:")
    real = text[:start] + text[end:]
    cell.write_text(real[: real.index("cameras:")] + real[real.index("limits:") :])
    assert main(["check", str(cell), "--json", str(tmp_path / "out" / "check.json")]) == 1
    found = json.loads((tmp_path / "out" / "check.json").read_text())
    findings = {one["name"]: one for one in found["findings"]}
    assert not found["ready"]
    assert not findings["arm main: network"]["ok"]
    assert findings["shared memory"]["ok"]
    assert all(one["remedy"] for one in found["findings"] if not one["ok"])
    assert "-> " in capsys.readouterr().out


def test_check_says_what_is_wrong_in_the_file_itself(tmp_path, capsys):
    cell = tmp_path / "bad.yaml"
    cell.write_text("schema: sinew.cell/1\nname: bad\narms: {main: {driver: ur5}}\n")
    assert main(["check", str(cell)]) == 1
    said = capsys.readouterr().err
    assert "arms.main.driver" in said
    assert "'ur5'" in said


def test_the_bench_never_moves_a_real_arm_unasked(capsys):
    assert main(["hil", "drivers", "--cell", "franka"]) == 1
    said = capsys.readouterr().err
    assert "would move" in said
    assert "nothing was moved" in said


@pytest.mark.parametrize("name", ["My Cell.yaml", "cell.txt", "cell", ".yaml"])
def test_find_refuses_a_file_name_that_cannot_name_a_cell(tmp_path, name, capsys):
    assert main(["find", "--write", str(tmp_path / name)]) == 1
    assert "bears the cell's name" in capsys.readouterr().err


def test_find_drafts_a_file_once_and_never_overwrites_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("drivers.find.USUAL_HOSTS", ("127.231.231.232",))
    monkeypatch.setattr("launch.verbs.find._known_hosts", list)
    file = tmp_path / "bench.yaml"
    assert main(["find", "--write", str(file), "--json", str(tmp_path / "found.json")]) == 0
    assert "CHECK" in file.read_text()
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["cameras"] == []
    assert [(one["host"], one["arm"]) for one in found["arms"]] == [("127.231.231.232", False)]
    before = file.read_text()
    assert main(["find", "--write", str(file)]) == 1
    assert "not overwritten" in capsys.readouterr().err
    assert file.read_text() == before
