"""Mutants are what they say, once each, and found again by a key without line numbers."""

import ast

from hil.mutation.operators import mutants, mutated_tree

SOURCE = '''
"""Module text."""
LIMIT = 3

def inside(value, low=0):
    """Docstring 1."""
    if value is None:
        raise ValueError(f"no {value + 1}")
    return low <= value < LIMIT

class Box:
    def grow(self, by):
        self.size = self.size + by
        return not by
'''


def _made(key_part):
    found = [one for one in mutants("m.py", SOURCE) if key_part in one.key]
    assert len(found) == 1, [one.key for one in found]
    return ast.unparse(mutated_tree(SOURCE, found[0]))


def test_every_family_makes_its_change():
    assert "low < value < LIMIT" in _made("boundary::low <= value < LIMIT -> low < value")
    assert "low > value < LIMIT" in _made("comparison::low <= value < LIMIT -> low > value")
    assert "self.size - by" in _made("Box.grow::arithmetic")
    assert "return by" in _made("Box.grow::negation")
    assert "LIMIT = 4" in _made("<module>::constant")
    assert "raise" not in _made("inside::removed statement::raise")
    assert "if not value is None" in _made("inside::negation::value is None -> not")


def test_messages_docstrings_and_defaults_are_left_alone():
    keys = [one.key for one in mutants("m.py", SOURCE)]
    assert not [key for key in keys if "value + 1" in key.split("::")[3] and "raise" not in key]
    assert not [key for key in keys if "0 -> 1" in key]
    assert len(keys) == len(set(keys))


def test_a_key_survives_lines_moving():
    moved = SOURCE.replace("LIMIT = 3", "# a comment\n\nLIMIT = 3")
    assert [one.key for one in mutants("m.py", SOURCE)] == [one.key for one in mutants("m.py", moved)]
