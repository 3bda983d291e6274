"""Lost, late and silent state packets."""

import pytest

from hil.fci.state_stream import StateStream


@pytest.fixture
def sent():
    return []


@pytest.fixture
def stream(sent):
    return StateStream(lambda packet: sent.append(bytes(packet)))


def publish(stream, first, last):
    return [stream.publish(now, memoryview(bytes((now % 256,)))) for now in range(first, last + 1)]


def test_healthy_stream_sends_every_packet_at_once(stream, sent):
    assert all(publish(stream, 1, 50))
    assert sent == [bytes((now,)) for now in range(1, 51)]


def test_lost_packets_are_gone_and_said_to_be(stream, sent):
    stream.lose(0.3, 1001, seed=4)
    outcome = publish(stream, 1, 1000)
    assert len(sent) == sum(outcome)
    assert 620 < len(sent) < 780


def test_losses_depend_on_the_seed_alone():
    def outcome(seed):
        stream = StateStream(lambda _: None)
        stream.lose(0.5, 100, seed)
        return publish(stream, 1, 99)

    assert outcome(3) == outcome(3)
    assert outcome(3) != outcome(4)


def test_fault_ends_at_its_time(stream, sent):
    stream.silence(11)
    outcome = publish(stream, 1, 12)
    assert outcome == [False] * 10 + [True] * 2
    assert len(sent) == 2


def test_late_packets_arrive_in_order_after_their_delay(stream, sent):
    stream.delay(3, 5)
    outcome = publish(stream, 1, 4)
    assert outcome == [False] * 4
    assert sent == [b"\x01"]
    publish(stream, 5, 8)
    assert sent == [bytes((number,)) for number in (1, 2, 5, 3, 6, 4, 7, 8)]


def test_packets_on_their_way_are_lost_with_the_client(stream, sent):
    stream.delay(5, 10)
    publish(stream, 1, 3)
    stream.forget()
    stream.restore()
    publish(stream, 20, 20)
    assert sent == [bytes((20,))]
