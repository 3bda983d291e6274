import numpy as np

from drivers.realsense.frozen import FROZEN_AFTER, FrozenPicture


def test_equal_pictures_count_as_frozen_from_the_third_repetition_until_one_differs():
    frozen, picture = FrozenPicture(), np.full((48, 64, 3), 7, np.uint8)
    assert [frozen.add(picture.copy()) for _ in range(FROZEN_AFTER + 2)] == [False] * FROZEN_AFTER + [True] * 2
    picture[8, 16, 1] ^= 1
    assert not frozen.add(picture)
    assert frozen.repeats == 0


def test_a_moving_picture_is_never_frozen():
    frozen, generator = FrozenPicture(), np.random.default_rng(0)
    assert not any(frozen.add(generator.integers(0, 255, (48, 64, 3), dtype=np.uint8)) for _ in range(50))
