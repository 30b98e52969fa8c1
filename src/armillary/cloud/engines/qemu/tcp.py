"""One end of TCP (RFC 9293), as far as a server needs it that answers one question per connection.

Pure, standard library only: time and the first sequence number are values, segments go in and come out. Segments that
arrive out of order are asked for again, not kept, and lost ones are sent again from the oldest on: the other end is a
machine on this same computer.
"""

from __future__ import annotations

from typing import NamedTuple

FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
MOST_RECEIVED = 16384
"""Bytes that are taken in; a peer that says more is not heard."""
_MOST_IN_FLIGHT = 32768
_RETRY_SECONDS = 0.4
_MOST_RETRIES = 7
_PATIENCE_SECONDS = 10.0
"""How long a peer may leave its own half open after we have said all."""
_LEAST_MSS, _USUAL_MSS = 88, 536
_WRAP = 1 << 32


class Segment(NamedTuple):
    """A TCP segment."""

    source_port: int
    target_port: int
    seq: int
    ack: int
    flags: int
    window: int
    data: bytes = b""
    mss: int | None = None
    """The largest segment that its sender takes, told with SYN."""


class Connection:
    """A connection that a peer opened with `syn`.

    Args:
        syn: the segment that asks for the connection.
        first: our first sequence number.
        mss: the largest segment that the wire carries.
        now: in seconds, of any clock that never goes back.
    """

    def __init__(self, *, syn: Segment, first: int, mss: int, now: float) -> None:
        self.received = bytearray()
        """What the peer has said so far."""
        self.over = False
        """Nothing is sent or taken any more."""
        self._ours, self._theirs = syn.target_port, syn.source_port
        self._first_theirs = syn.seq
        self._next_theirs = (syn.seq + 1) % _WRAP
        self._base = (first + 1) % _WRAP
        """The number of the oldest byte that the peer has not acknowledged."""
        self._mss = max(_LEAST_MSS, min(syn.mss or _USUAL_MSS, mss))
        self._window = syn.window
        self._unacknowledged = bytearray()
        self._sent = 0
        """How much after `_base` was sent, our FIN counted as one, since it was last begun anew."""
        self._most_sent = 0
        self._established = self._finishing = self._finished = self._peer_finished = False
        self._retries = 0
        self._due = now + _RETRY_SECONDS

    def open(self) -> Segment:
        """Return the segment that accepts the connection."""
        return self._segment(SYN | ACK, offset=-1)._replace(mss=self._mss)

    def receive(self, segment: Segment, now: float) -> list[Segment]:
        """Take a segment in, and return what it is answered with."""
        if self.over:
            return []
        if segment.flags & RST:
            self.over = _ahead(segment.seq, self._next_theirs) < MOST_RECEIVED
            return []
        if segment.flags & SYN:
            again = segment.seq == self._first_theirs and not self._established
            return [self.open() if again else self._segment(ACK)]
        if not segment.flags & ACK:
            return []
        if not self._take_acknowledgement(segment, now):
            return [self._segment(ACK)] if self._established else []
        owes = self._take_data(segment)
        said = self._push(now)
        if self._finished and self._peer_finished:
            self.over = True
        return said or ([self._segment(ACK)] if owes else [])

    def write(self, data: bytes, now: float) -> list[Segment]:
        """Say something more; return what may be sent of it already."""
        self._unacknowledged += data
        return self._push(now)

    def finish(self, now: float) -> list[Segment]:
        """Say that nothing more comes."""
        self._finishing = True
        self._due = max(self._due, now + _RETRY_SECONDS)
        return self._push(now)

    def abort(self) -> Segment:
        """End the connection at once; return the segment that says so."""
        self.over = True
        return self._segment(RST | ACK)

    def tick(self, now: float) -> list[Segment]:
        """Send again what was not acknowledged in time; give up after a while."""
        waits = not self._established or self._sent or len(self._unacknowledged) > self._sent
        if self.over or not (waits or self._finished) or now < self._due:
            return []
        self._retries += 1
        if self._finished or self._retries > _MOST_RETRIES:
            return [self.abort()]
        self._due = now + _RETRY_SECONDS * min(2**self._retries, 16)
        if not self._established:
            return [self.open()]
        self._sent = 0
        return self._push(now, most=self._mss, least=1)

    # -- the two halves

    def _take_acknowledgement(self, segment: Segment, now: float) -> bool:
        """Forget what the peer has; return whether its number makes sense."""
        acknowledged = _ahead(segment.ack, self._base)
        if acknowledged > self._most_sent:
            # an old one, overtaken on its way, says nothing of our half, but its data may count
            return self._established and acknowledged >= _WRAP // 2
        self._established = True
        self._window = segment.window
        if acknowledged:
            if acknowledged > len(self._unacknowledged):
                self._finished = True
            del self._unacknowledged[:acknowledged]
            self._base = (self._base + acknowledged) % _WRAP
            self._sent = max(0, self._sent - acknowledged)
            self._most_sent -= acknowledged
            self._retries = 0
            self._due = now + (_PATIENCE_SECONDS if self._finished else _RETRY_SECONDS)
        return True

    def _take_data(self, segment: Segment) -> bool:
        """Take the data that comes next; return whether the segment wants an acknowledgement."""
        if not segment.data and not segment.flags & FIN:
            return False
        known = _ahead(self._next_theirs, segment.seq)
        if known > len(segment.data):
            return True  # begins later than what we have, or was here before
        room = MOST_RECEIVED - len(self.received)
        new = segment.data[known:]
        if self._peer_finished:
            return True
        self.received += new[:room]
        self._next_theirs = (self._next_theirs + len(new[:room])) % _WRAP
        if segment.flags & FIN and len(new) <= room:
            self._next_theirs = (self._next_theirs + 1) % _WRAP
            self._peer_finished = True
        return True

    def _push(self, now: float, *, most: int = _MOST_IN_FLIGHT, least: int = 0) -> list[Segment]:
        """Send as much as the peer has room for."""
        if not self._established or self._finished:
            return []
        if not self._sent:
            self._due = max(self._due, now + _RETRY_SECONDS)
        limit, length = max(min(self._window, most), least), len(self._unacknowledged)
        said: list[Segment] = []
        while self._sent < min(length, limit):
            end = min(self._sent + self._mss, length, limit)
            data = bytes(self._unacknowledged[self._sent : end])
            said.append(self._segment(ACK | PUSH, offset=self._sent, data=data))
            self._sent = end
        if self._finishing and self._sent == length:
            said.append(self._segment(ACK | FIN, offset=self._sent))
            self._sent += 1
        self._most_sent = max(self._most_sent, self._sent)
        return said

    def _segment(self, flags: int, *, offset: int | None = None, data: bytes = b"") -> Segment:
        return Segment(
            source_port=self._ours,
            target_port=self._theirs,
            seq=(self._base + (self._most_sent if offset is None else offset)) % _WRAP,
            ack=self._next_theirs,
            flags=flags,
            window=max(0, MOST_RECEIVED - len(self.received)),
            data=data,
        )


def refuse(segment: Segment) -> Segment | None:
    """Return what says that a segment belongs to no connection; None if it is itself such an answer."""
    if segment.flags & RST:
        return None
    length = len(segment.data) + bool(segment.flags & SYN) + bool(segment.flags & FIN)
    return Segment(
        source_port=segment.target_port,
        target_port=segment.source_port,
        seq=segment.ack if segment.flags & ACK else 0,
        ack=(segment.seq + length) % _WRAP,
        flags=RST if segment.flags & ACK else RST | ACK,
        window=0,
    )


def _ahead(number: int, of: int) -> int:
    """Return how far a sequence number lies after another one."""
    return (number - of) % _WRAP
