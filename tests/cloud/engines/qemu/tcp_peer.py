"""A guest's end of a TCP connection: simple and stubborn. What is not acknowledged is said again when asked to."""

from armillary.cloud.engines.qemu.tcp import ACK, FIN, RST, SYN, Segment

WRAP = 1 << 32


class Peer:
    def __init__(
        self, *, port: int = 40000, first: int = 4294967000, window: int = 65535, mss: int | None = 1460
    ) -> None:
        self.port, self.window, self.mss = port, window, mss
        self.next, self.unacknowledged, self.first = (first + 1) % WRAP, b"", first
        self.heard = b""
        self.theirs: int | None = None
        self.ended = self.closing = self.closed = self.refused = False
        self.largest = 0

    def opens(self) -> Segment:
        return Segment(self.port, 80, self.first, 0, SYN, self.window, b"", self.mss)

    def says(self, data: bytes) -> list[Segment]:
        self.unacknowledged += data
        return self.again()

    def closes(self) -> list[Segment]:
        self.closing = True
        return self.again()

    def again(self) -> list[Segment]:
        """Everything that the other end has not acknowledged, in small pieces."""
        if self.theirs is None:
            return [self.opens()]
        pieces = [self.unacknowledged[at : at + 500] for at in range(0, len(self.unacknowledged), 500)]
        said = [self._segment(ACK, 500 * number, piece) for number, piece in enumerate(pieces)]
        if self.closing and not self.closed:
            said.append(self._segment(ACK | FIN, len(self.unacknowledged)))
        return said

    def takes(self, segment: Segment) -> list[Segment]:
        self.largest = max(self.largest, len(segment.data))
        if segment.flags & RST:
            self.refused = True
            return []
        if segment.flags & SYN:
            self.theirs = (segment.seq + 1) % WRAP
        acknowledged = (segment.ack - self.next) % WRAP
        if acknowledged <= len(self.unacknowledged) + 1:
            self.closed = self.closed or (self.closing and acknowledged == len(self.unacknowledged) + 1)
            self.unacknowledged = self.unacknowledged[acknowledged:]
            self.next = (self.next + acknowledged) % WRAP
        if segment.data and segment.seq == self.theirs:
            self.heard += segment.data
            self.theirs = (segment.seq + len(segment.data)) % WRAP
        if segment.flags & FIN and (segment.seq + len(segment.data)) % WRAP == self.theirs and not self.ended:
            self.ended = True
            self.theirs = (self.theirs + 1) % WRAP
        return [self._segment(ACK, 0)] if segment.flags & (SYN | FIN) or segment.data else []

    def _segment(self, flags: int, offset: int, data: bytes = b"") -> Segment:
        seq = (self.next + offset) % WRAP
        return Segment(self.port, 80, seq, self.theirs or 0, flags, self.window, data)
