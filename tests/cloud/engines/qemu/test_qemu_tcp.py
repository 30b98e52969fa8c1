"""Our end of TCP against a peer, over a wire that may lose, repeat and delay."""

from random import Random

import pytest
from frame_builder import ip, mac
from hypothesis import given, settings
from hypothesis import strategies as st
from tcp_peer import Peer

from armillary.cloud.engines.qemu.frames import read_ipv4, read_ipv6
from armillary.cloud.engines.qemu.packets import Ends, read_segment, write_segment
from armillary.cloud.engines.qemu.tcp import ACK, FIN, MOST_RECEIVED, RST, SYN, Connection, Segment, refuse

QUESTION = b"GET /openstack HTTP/1.1\r\n\r\n"


class Line:
    """A wire between a peer and a connection; `faults` says of each segment how often it arrives, and how late."""

    def __init__(self, peer: Peer, *, mss: int = 1460, seed: int | None = None) -> None:
        self.peer, self.now = peer, 0.0
        self.connection = Connection(syn=peer.opens(), first=4294967290, mss=mss, now=0.0)
        self.random = Random(seed) if seed is not None else None
        self.flying: list[tuple[bool, Segment]] = [(True, self.connection.open())]

    def send(self, to_peer: bool, segments: list[Segment]) -> None:
        for segment in segments:
            times = self.random.choices((0, 1, 2), (2, 6, 1))[0] if self.random else 1
            for _ in range(times):
                place = self.random.randint(0, len(self.flying)) if self.random else len(self.flying)
                self.flying.insert(place, (to_peer, segment))

    def runs(self) -> None:
        while self.flying:
            to_peer, segment = self.flying.pop(0)
            if to_peer:
                self.send(False, self.peer.takes(segment))
            else:
                self.send(True, self.connection.receive(segment, self.now))

    def passes(self, seconds: float) -> None:
        """Time goes by, and both ends repeat what they miss."""
        self.now += seconds
        self.send(True, self.connection.tick(self.now))
        self.send(False, self.peer.again())
        self.runs()


def answered(line: Line, answer: bytes) -> None:
    line.runs()
    line.send(False, line.peer.says(QUESTION))
    line.runs()
    for _ in range(60):
        if bytes(line.connection.received) == QUESTION:
            break
        line.passes(0.5)
    assert bytes(line.connection.received) == QUESTION
    line.send(True, line.connection.write(answer, line.now))
    line.send(True, line.connection.finish(line.now))
    line.runs()


@pytest.mark.parametrize("size", [0, 1, 1460, 1461, 200_000])
def test_a_question_is_heard_and_its_answer_arrives_whole(size):
    answer = bytes(number % 251 for number in range(size))
    line = Line(Peer())
    answered(line, answer)
    assert (line.peer.heard, line.peer.ended) == (answer, True)
    line.send(False, line.peer.closes())
    line.runs()
    assert line.connection.over
    assert not line.peer.refused


@given(seed=st.integers(0, 10_000), size=st.integers(0, 20_000))
@settings(max_examples=60, deadline=None)
def test_what_is_lost_repeated_or_overtaken_arrives_all_the_same(seed, size):
    answer = Random(seed).randbytes(size)
    line = Line(Peer(), seed=seed)
    answered(line, answer)
    for _ in range(200):
        if line.peer.ended or line.connection.over:
            break
        line.passes(7.0)
    assert line.peer.heard == answer[: len(line.peer.heard)]
    if not line.peer.refused:  # it may give up on a wire this bad, but must say so
        assert (line.peer.heard, line.peer.ended) == (answer, True)


def test_segments_are_as_large_as_both_ends_and_the_wire_allow():
    for peer, mss, largest in ((Peer(mss=900), 1460, 900), (Peer(), 1360, 1360), (Peer(mss=None), 1460, 536)):
        line = Line(peer, mss=mss)
        answered(line, bytes(5000))
        assert line.peer.largest == largest


def test_no_more_is_sent_than_the_peer_has_room_for():
    line = Line(Peer(window=2000))
    line.runs()
    said = line.connection.write(bytes(9000), 0.0)
    assert sum(len(segment.data) for segment in said) == 2000


def test_a_closed_window_is_asked_after_with_one_byte():
    line = Line(Peer(window=0))
    line.runs()
    assert line.connection.write(b"answer", 0.0) == []
    assert [segment.data for segment in line.connection.tick(1.0)] == [b"a"]


def test_a_peer_that_says_too_much_is_not_heard_further():
    line = Line(Peer())
    line.runs()
    line.send(False, line.peer.says(bytes(MOST_RECEIVED + 5000)))
    line.runs()
    assert len(line.connection.received) == MOST_RECEIVED
    assert line.connection.receive(line.peer.again()[0], 0.0)[0].window == 0


def test_a_silent_peer_is_given_up():
    connection, now = Connection(syn=Peer().opens(), first=1, mss=1460, now=0.0), 0.0
    last: list[Segment] = []
    while not connection.over:
        now += 10
        assert now < 1000
        last = connection.tick(now) or last
    assert last[0].flags & RST


def test_a_peer_that_does_not_close_is_left():
    line = Line(Peer())
    answered(line, b"answer")
    assert line.connection.tick(line.now + 1) == []
    assert line.connection.tick(line.now + 11)[0].flags & RST
    assert line.connection.over


def test_a_reset_ends_a_connection_only_with_a_number_that_fits():
    line = Line(Peer())
    line.runs()
    far = Segment(40000, 80, (line.peer.next - 5) % 2**32, 0, RST, 0)
    assert line.connection.receive(far, 0.0) == []
    assert not line.connection.over
    line.connection.receive(far._replace(seq=line.peer.next), 0.0)
    assert line.connection.over


def test_a_number_that_was_never_sent_is_answered_with_the_right_one():
    line = Line(Peer())
    line.runs()
    (answer,) = line.connection.receive(Segment(40000, 80, line.peer.next, 123, ACK, 1000), 0.0)
    assert (answer.seq, answer.ack) == (line.peer.theirs, line.peer.next)


def test_a_segment_that_belongs_to_no_connection_is_refused():
    stray = Segment(40000, 80, 7, 99, ACK | FIN, 1000, b"x")
    assert refuse(stray) == Segment(80, 40000, 99, 9, RST, 0)
    assert refuse(stray._replace(flags=SYN)) == Segment(80, 40000, 0, 9, RST | ACK, 0)
    assert refuse(stray._replace(flags=RST)) is None


ENDS = Ends(
    to_mac=mac("fa:16:3e:00:00:01"), from_mac=mac("52:55:0a:00:00:01"), source=ip("169.254.169.254"),
    target=ip("10.0.0.4"),
)  # fmt: skip


ENDS_V6 = ENDS._replace(source=bytes.fromhex("fe80" + 10 * "00" + "a9fea9fe"), target=bytes(range(16)))


@given(
    ends=st.sampled_from((ENDS, ENDS_V6)), data=st.binary(max_size=60), seq=st.integers(0, 2**32 - 1), mss=st.none() | st.integers(100, 9000),
    padding=st.integers(0, 20),
)  # fmt: skip
def test_a_segment_is_read_as_it_was_written(ends, data, seq, mss, padding):
    segment = Segment(80, 40000, seq, 5, SYN | ACK, 16384, data, mss)
    frame = write_segment(segment, ends) + bytes(padding)  # short frames are filled up on their way
    packet = read_ipv4(frame) or read_ipv6(frame)
    assert packet is not None
    assert read_segment(frame, packet) == segment
    damaged = bytearray(frame)
    damaged[packet.payload + 5] ^= 1
    assert read_segment(bytes(damaged), packet) is None
