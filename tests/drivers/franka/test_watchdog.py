from drivers.franka.watchdog import FIRST_COMMAND_NS, PERIODS, Watchdog

MS = 1_000_000


def test_waits_for_the_first_command_then_holds_its_limit():
    dog = Watchdog(50 * MS, 0)
    assert not dog.expired(FIRST_COMMAND_NS)
    assert dog.expired(FIRST_COMMAND_NS + 1)
    dog.feed(10 * MS, 5 * MS)
    assert not dog.expired(60 * MS)
    assert dog.expired(60 * MS + 1)
    assert dog.age_ns(60 * MS) == 50 * MS


def test_a_slow_stream_gets_three_of_its_periods():
    dog = Watchdog(50 * MS, 0)
    dog.feed(0, 40 * MS)
    assert not dog.expired(PERIODS * 40 * MS)
    assert dog.expired(PERIODS * 40 * MS + 1)


def test_an_older_stamp_does_not_turn_the_watchdog_back():
    dog = Watchdog(50 * MS, 0)
    dog.feed(100 * MS, 5 * MS)
    dog.feed(20 * MS, 5 * MS)
    assert not dog.expired(150 * MS)
