"""Answers guests at 169.254.169.254 and fe80::a9fe:a9fe: the switch is the metadata service's proxy, as a router's agent is in Neutron.

A guest's frames for these addresses end here, in a TCP of our own, so that it is certain who asks: the card is known, and
nothing in a frame is believed. The question goes on to the cloud over loopback, signed. See
docs/decisions/0009-the-switch-answers-for-metadata.md.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from armillary.cloud.core.signature import sign
from armillary.cloud.engines.qemu import frames
from armillary.cloud.engines.qemu.flows import METADATA_IPV6, METADATA_MAC, Exit
from armillary.cloud.engines.qemu.http_question import (
    Question,
    Unclear,
    read_question,
    refusal,
    write_question,
)
from armillary.cloud.engines.qemu.packets import (
    Ends,
    answer_arp,
    answer_discovery,
    read_segment,
    write_segment,
)
from armillary.cloud.engines.qemu.tcp import ACK, FIN, RST, SYN, Connection, Segment, refuse

TICK_SECONDS = 0.2
"""How often `tick` wants to be called while anybody talks."""
_MOST_TALKS, _MOST_TALKS_OF_ONE = 512, 16
_TALK_SECONDS = 30.0
_MOST_ANSWER = 1 << 20
_HEADERS = {4: 40, 16: 60}
"""Bytes of a packet that are not TCP's payload, by the length of its addresses."""

Key = tuple[str, bytes, int]
"""A guest's end of a conversation: its card, address and port."""


class Site(NamedTuple):
    """Where the metadata service answers; see `cloud.model.MetadataSite`."""

    host: str
    port: int
    path: str
    secret: str


class Guest(NamedTuple):
    """Who is behind a card."""

    server_id: str
    project_id: str
    ip: str
    mtu: int


class _Talk:
    """A guest's connection, and ours to the cloud in its name."""

    def __init__(self, *, key: Key, connection: Connection, ends: Ends, deadline: float) -> None:
        self.key, self.connection, self.ends, self.deadline = key, connection, ends, deadline
        self.asked = False
        self.cloud: socket.socket | None = None
        self.unsent = b""
        self.answered = 0


class MetadataProxy:
    """All talks of all guests of one switch, on the switch's own epoll.

    Args:
        epoll: where the sockets to the cloud are watched.
        send: puts a frame on the wire of the card with that key.
    """

    def __init__(self, *, epoll: select.epoll, send: Callable[[str, bytes, float], None]) -> None:
        self._epoll = epoll
        self._send_frame = send
        self._site: Site | None = None
        self._guests: dict[str, Guest] = {}
        self._talks: dict[Key, _Talk] = {}
        self._by_fd: dict[int, _Talk] = {}

    def configure(self, site: Site | None, guests: Mapping[str, Guest]) -> None:
        """Take a new plan: where the service is, and who is behind each card."""
        gone = {key for key in self._guests if self._guests[key] != guests.get(key)}
        self._site, self._guests = site, dict(guests)
        for talk in [talk for talk in self._talks.values() if site is None or talk.key[0] in gone]:
            self._end(talk)

    @property
    def is_busy(self) -> bool:
        """Whether anybody talks."""
        return bool(self._talks)

    def take(self, leaves: Exit, frame: bytes, now: float) -> None:
        """Take a frame that a card sent to us."""
        key = leaves[0]
        guest = self._guests.get(key)
        if guest is None or self._site is None:
            return
        if frame[12:14] == frames.ARP:
            self._send_frame(key, answer_arp(frame, METADATA_MAC), now)
            return
        is_ipv4 = frame[12:14] == frames.IPV4
        packet = frames.read_ipv4(frame) if is_ipv4 else frames.read_ipv6(frame)
        if packet is not None and packet.protocol == frames.ICMPV6:
            self._send_frame(key, answer_discovery(frame, packet, METADATA_MAC, METADATA_IPV6), now)
            return
        segment = read_segment(frame, packet) if packet is not None else None
        if packet is None or segment is None:
            return
        ends = Ends(to_mac=frame[6:12], from_mac=frame[:6], source=packet.target, target=packet.source)
        self._take_segment((key, packet.source, segment.source_port), guest, ends, segment, now)

    def _take_segment(self, key: Key, guest: Guest, ends: Ends, segment: Segment, now: float) -> None:
        talk = self._talks.get(key)
        if talk is None:
            if segment.flags & (SYN | ACK | FIN | RST) != SYN:
                answer = refuse(segment)
                if answer is not None:
                    self._send_frame(key[0], write_segment(answer, ends), now)
            elif self._has_room(key[0]):
                first = int.from_bytes(os.urandom(4), "big")
                connection = Connection(
                    syn=segment, first=first, mss=guest.mtu - _HEADERS[len(ends.source)], now=now
                )
                talk = _Talk(key=key, connection=connection, ends=ends, deadline=now + _TALK_SECONDS)
                self._talks[key] = talk
                self._say(talk, [connection.open()], now)
            return
        self._say(talk, talk.connection.receive(segment, now), now)
        if not talk.asked and not talk.connection.over:
            self._ask(talk, guest, now)
        if talk.connection.over:
            self._end(talk)

    def _has_room(self, card: str) -> bool:
        own = sum(1 for key in self._talks if key[0] == card)
        return own < _MOST_TALKS_OF_ONE and len(self._talks) < _MOST_TALKS

    def _say(self, talk: _Talk, segments: list[Segment], now: float) -> None:
        for segment in segments:
            self._send_frame(talk.key[0], write_segment(segment, talk.ends), now)

    def _answer(self, talk: _Talk, answer: bytes, now: float) -> None:
        self._say(talk, talk.connection.write(answer, now), now)
        self._say(talk, talk.connection.finish(now), now)

    # -- to the cloud

    def _ask(self, talk: _Talk, guest: Guest, now: float) -> None:
        """Pass the question on once it is whole."""
        try:
            question = read_question(bytes(talk.connection.received))
        except Unclear as unclear:
            talk.asked = True
            self._answer(talk, refusal(str(unclear)), now)
            return
        if question is None or self._site is None:
            return
        talk.asked = True
        talk.unsent = _signed(question, self._site, guest)
        cloud = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        talk.cloud = cloud
        self._by_fd[cloud.fileno()] = talk
        self._epoll.register(cloud, select.EPOLLIN | select.EPOLLOUT)
        cloud.connect_ex((self._site.host, self._site.port))  # how it went shows when it is written to

    def ready(self, fd: int, now: float) -> bool:
        """Go on with the socket of that descriptor; False if it is none of ours."""
        talk = self._by_fd.get(fd)
        if talk is None or talk.cloud is None:
            return False
        try:
            if talk.unsent:
                talk.unsent = talk.unsent[talk.cloud.send(talk.unsent) :]
                if not talk.unsent:
                    self._epoll.modify(talk.cloud, select.EPOLLIN)
            answer = talk.cloud.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            answer = b""
        talk.answered += len(answer)
        if answer and talk.answered <= _MOST_ANSWER:
            self._say(talk, talk.connection.write(answer, now), now)
            return True
        self._hang_up(talk)
        if talk.answered:
            self._say(talk, talk.connection.finish(now), now)
        else:  # the platform is down, and will be back; cloud-init asks again
            self._answer(talk, refusal("503 Service Unavailable"), now)
        return True

    def tick(self, now: float) -> None:
        """Repeat what was lost, and end what takes too long."""
        for talk in list(self._talks.values()):
            self._say(talk, talk.connection.tick(now), now)
            if now > talk.deadline and not talk.connection.over:
                self._say(talk, [talk.connection.abort()], now)
            if talk.connection.over:
                self._end(talk)

    def _end(self, talk: _Talk) -> None:
        self._hang_up(talk)
        self._talks.pop(talk.key, None)

    def _hang_up(self, talk: _Talk) -> None:
        if talk.cloud is not None:
            del self._by_fd[talk.cloud.fileno()]
            with contextlib.suppress(OSError):
                self._epoll.unregister(talk.cloud)
            talk.cloud.close()
            talk.cloud = None

    def close(self) -> None:
        """Hang up on everybody."""
        for talk in list(self._talks.values()):
            self._end(talk)


def _signed(question: Question, site: Site, guest: Guest) -> bytes:
    added = {
        "X-Forwarded-For": guest.ip,
        "X-Instance-ID": guest.server_id,
        "X-Tenant-ID": guest.project_id,
        "X-Instance-ID-Signature": sign(site.secret, guest.server_id),
    }
    return write_question(question, prefix=site.path, host=f"{site.host}:{site.port}", added=added)


def read_plan(state: Mapping[str, Any]) -> tuple[Site | None, dict[str, Guest]]:
    """Return the part of the switch's plan that is about metadata."""
    site = state["metadata"]
    guests = {
        entry["key"]: Guest(entry["server"], entry["project"], entry["ip"], entry["mtu"])
        for entry in state["ports"]
    }
    return (Site(**site) if site else None), guests
