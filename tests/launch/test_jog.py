"""Keys that jog: they name a joint and a direction, all others pass, and nothing keeps moving by itself."""

import pytest

from launch.jog import KEY_SPEED_RAD_S, JogKeys


@pytest.mark.parametrize("keys", ["+", "=", "\x1b[A", "\x1b[C", "\x1bOA", "\x1bOC"])
def test_forward_keys_move_the_chosen_joint(keys):
    assert JogKeys().feed(keys) == ("", (KEY_SPEED_RAD_S, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("keys", ["-", "_", "\x1b[B", "\x1b[D", "\x1bOB", "\x1bOD"])
def test_backward_keys_move_it_back(keys):
    one = JogKeys()
    assert one.feed("7") == ("", None)
    assert one.feed(keys) == ("", (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -KEY_SPEED_RAD_S))


def test_digits_choose_and_other_keys_pass_through_in_order():
    one = JogKeys()
    assert one.feed("a3 b") == ("a b", None)
    assert one.joint == 2
    assert one.feed("890q") == ("890q", None), "there is no joint 8, 9 or 0"
    assert one.joint == 2


def test_no_key_is_no_word():
    assert JogKeys().feed("") == ("", None)


def test_of_several_words_the_newest_counts():
    assert JogKeys().feed("+++-") == ("", (-KEY_SPEED_RAD_S, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
