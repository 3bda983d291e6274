from dataclasses import replace
from math import inf, nan, nextafter

import pytest

from runtime.gate.reasons import Reason
from runtime.gate.speeds import CRAWL, check_singularity, check_speeds


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_each_speed_at_its_limit(limits, index, factor):
    limit = factor * (limits.tcp_speed, limits.elbow_speed, limits.tcp_rotation)[index]
    reason = (Reason.TCP_SPEED, Reason.ELBOW_SPEED, Reason.TCP_ROTATION)[index]
    for value, ok in ((limit, True), (nextafter(limit, inf), False), (nan, False)):
        speeds = tuple(value if k == index else 0.0 for k in range(3))
        found = check_speeds(speeds, limits, factor)
        assert (found is None) is ok
        if found and value == value:
            assert found == (reason, value, limit, 0)


def test_near_a_singularity_joints_go_slower(limits):
    limits = replace(limits, velocity=(1.0,) * 7, min_singular_value=0.5)
    for j in range(7):
        for smallest, share in ((0.25, 0.5), (0.0, CRAWL), (0.04, CRAWL), (0.0625, 0.125)):
            for sign in (-1.0, 1.0):
                at = [sign * share if k == j else 0.0 for k in range(7)]
                beyond = [sign * nextafter(share, inf) if k == j else 0.0 for k in range(7)]
                assert check_singularity(at, smallest, limits) is None
                assert check_singularity(beyond, smallest, limits) == (
                    Reason.SINGULARITY,
                    nextafter(share, inf),
                    share,
                    j + 1,
                )
    assert check_singularity([nan] * 7, 0.25, limits) is not None


def test_away_from_singularities_nothing_changes(limits):
    limits = replace(limits, min_singular_value=0.5)
    assert check_singularity([9.0] * 7, 0.5, limits) is None
    assert check_singularity([9.0] * 7, nextafter(0.5, 0.0), limits) is not None


def test_the_way_out_stays_open():
    assert CRAWL == 0.1
