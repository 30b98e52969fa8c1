"""The network between machines: a switch daemon for the frames, and forwards on loopback for the floating IPs."""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, NamedTuple

from armillary.base.errors import Unavailable
from armillary.base.ids import PortId, ServerId
from armillary.cloud.engines.qemu.layout import Layout, port_key
from armillary.cloud.engines.qemu.process import find, holder, start
from armillary.cloud.engines.qemu.qmp import Monitor, MonitorError
from armillary.cloud.engines.qemu.switch import STATE_VERSION
from armillary.cloud.model import CardUse, NetworkPlan, PortPlan, Rule

_log = logging.getLogger(__name__)

FALLBACK_OFFSET = 10000
"""Added to a port that this user may not bind, or that another program has taken on all addresses."""
_NARROW = 32
"""A range of at most so many ports is forwarded whole, a wider one only at the ports below."""
WELL_KNOWN = (22, 80, 443, 3000, 5000, 5432, 5900, 5901, 6006, 8000, 8080, 8443, 8888, 9000, 9618)
"""What people serve on their machines: ssh, web, databases, desktops, notebooks, HTCondor."""
WELL_KNOWN_UDP = (53, 123, 443, 514, 1194, 4433, 51820, 60001)
"""Names, time, the web's third version, logs, two kinds of private networks, mosh."""
_NAMES = {"tcp": (None, "tcp", "6", "any"), "udp": ("udp", "17")}
_FORWARD = re.compile(r"(TCP|UDP)\[HOST_FORWARD\]\s+\d+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)")
_ANSWER_SECONDS = 10.0


class Wanted(NamedTuple):
    """What shall answer at a floating IP."""

    protocol: str
    address: str
    number: int
    """the port, of the machine and, if this user may bind it, at the floating IP"""
    fixed_ip: str


class Forward(NamedTuple):
    """What answers at a floating IP."""

    wanted: Wanted
    host_port: int


class QemuFabric:
    """The `Fabric` port for the machines of `QemuMachines` over the same directory."""

    def __init__(self, *, directory: Path) -> None:
        self._layout = Layout(directory=directory.absolute())
        self._lock = threading.Lock()
        self._plans: dict[str, PortPlan] = {}
        self._settled: dict[str, tuple[int, int, frozenset[Wanted]]] = {}
        """By port: the process, the age of the card's way out in it, and the wish that were last brought together."""
        self._failed: dict[str, list[str]] = {}
        """By port: what could not be forwarded the last time, so that it is told once."""
        self._layout.prepare()

    def apply(self, plan: NetworkPlan) -> None:
        """Make the network be as `plan` says (see the port).

        Raises:
            Unavailable: the switch does not start.
        """
        with self._lock:
            # Forwards close before rules open elsewhere, and the switch is right before new forwards answer.
            wanted = {port_key(port.port.id): port for port in plan.ports}
            self._tell_switch(plan)
            for key, gone in self._plans.items():
                if key not in wanted:
                    self._settle(gone, frozenset())
            for port in wanted.values():
                self._settle(port, wanted_forwards(port))
            self._plans = wanted

    def addresses(self, server_id: ServerId) -> Mapping[int, tuple[str, int]]:
        """Where a machine's open TCP ports truly answer now: guest port -> (host address, host port)."""
        found: dict[int, tuple[str, int]] = {}
        for port in list(self._plans.values()):
            if port.server_id == server_id and port.floating_ip:
                for wanted, host_port in self._forwards(port):
                    if wanted.address == port.floating_ip and wanted.protocol == "tcp":
                        found[wanted.number] = (wanted.address, host_port)
        return found

    def traffic(self, ports: Sequence[PortId]) -> Mapping[PortId, CardUse]:
        """What went through the cards of these ports, as the switch has counted it."""
        try:
            counted: dict[str, list[int]] = self._order("traffic").get("traffic", {})
        except (OSError, ValueError, Unavailable):
            return {}  # it is not there, or one of an older Armillary that counts nothing
        found: dict[PortId, CardUse] = {}
        for port in ports:
            figures = counted.get(port_key(port))
            if figures:
                out_bytes, out_packets, in_bytes, in_packets = figures
                found[port] = CardUse(
                    in_bytes=in_bytes, in_packets=in_packets, out_bytes=out_bytes, out_packets=out_packets
                )
        return found

    def close(self) -> None:
        """End the switch: machines stay up, unconnected. For when the cloud itself is taken down."""
        process = find(self._layout.switch_pidfile)
        if process is not None:
            with process:
                process.end(grace=2)

    # -- the switch

    def _tell_switch(self, plan: NetworkPlan) -> None:
        state = json.dumps(self._state(plan), indent=1, sort_keys=True)
        path = self._layout.switch_state
        changed = not path.exists() or path.read_text(encoding="utf-8") != state
        if changed:
            partial = path.with_suffix(".partial")
            partial.touch(mode=0o600)  # what signs guests' questions is in it
            partial.write_text(state, encoding="utf-8")
            partial.replace(path)
        if not plan.ports:
            self.close()
        elif holder(self._layout.switch_pidfile) is None:
            self._start_switch()
        elif changed:
            answer = self._order("reload")
            if answer.get("version") != STATE_VERSION:  # one of an older Armillary
                self.close()
                self._start_switch()

    def _state(self, plan: NetworkPlan) -> dict[str, Any]:
        ports: list[dict[str, Any]] = []
        for port in sorted(plan.ports, key=lambda each: each.port.id):
            sockets = self._layout.machine(port.server_id).port(port.port.id)
            ports.append(
                {
                    "key": port_key(port.port.id),
                    "server": port.server_id,
                    "project": port.project_id,
                    "mtu": port.port.mtu,
                    "network": port.port.network_id,
                    "mac": port.port.mac.lower(),
                    "ip": port.port.fixed_ip,
                    "cidr": port.port.cidr,
                    "gateway": port.port.gateway_ip,
                    "filtered": port.filtered,
                    "addresses": [asdict(address) for address in port.addresses],
                    "pairs": [asdict(pair) for pair in port.pairs],
                    "rules": [_rule(rule) for rule in port.rules],
                    "sockets": {
                        "nic": str(sockets.nic),
                        "nic_switch": str(sockets.nic_switch),
                        "slirp": str(sockets.slirp),
                        "slirp_switch": str(sockets.slirp_switch),
                    },
                }
            )
        return {
            "version": STATE_VERSION,
            "host_ports": sorted(plan.host_ports),
            "metadata": asdict(plan.metadata) if plan.metadata is not None else None,
            "ports": ports,
        }

    def _start_switch(self) -> None:
        layout = self._layout
        words = [str(path) for path in (layout.switch_state, layout.switch_pidfile, layout.switch_control)]
        command = [sys.executable, "-m", "armillary.cloud.engines.qemu.switch", *words]
        lifeline = start(command, log=layout.switch_log)
        try:
            deadline = time.monotonic() + _ANSWER_SECONDS
            while time.monotonic() < deadline and not lifeline.ended(within=0.02):
                try:
                    self._order("stats")
                except OSError:
                    continue
                return
        finally:
            lifeline.close()
        said = layout.switch_log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise Unavailable(
            "The network's switch does not start.",
            code="switch_failed",
            facts={"said": said[-1:] or ["nothing"]},
        )

    def _order(self, order: str) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_ANSWER_SECONDS)
            line.connect(str(self._layout.switch_control))
            line.sendall(order.encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile("rb").readline() or b"{}")
        if "error" in answer:
            raise Unavailable("The network's switch refuses its plan.", code="switch_failed", facts=answer)
        return answer

    # -- forwards

    def _settle(self, port: PortPlan, wanted: frozenset[Wanted]) -> None:
        """Bring the forwards of a running machine together with what is wanted; remember it, so as not to ask again."""
        key, files = port_key(port.port.id), self._layout.machine(port.server_id)
        pid = holder(files.pidfile)
        if pid is None:
            self._settled.pop(key, None)
            return
        made = _made_at(files.port(port.port.id).slirp)
        if made is None:
            return  # the card is planned, and not plugged in yet
        if self._settled.get(key) == (pid, made, wanted):
            return
        try:
            with Monitor(files.fabric_monitor) as monitor:
                failed = _reconcile(monitor, port, wanted)
        except MonitorError as error:
            _log.warning("forwards of server %s are not settled: %s", port.server_id, error)
            return
        if failed != self._failed.pop(key, []):
            _log.warning("server %s: %s cannot be forwarded", port.server_id, ", ".join(failed) or "nothing")
        if failed:
            self._failed[key] = failed
        else:
            self._settled[key] = (pid, made, wanted)

    def _forwards(self, port: PortPlan) -> list[Forward]:
        files = self._layout.machine(port.server_id)
        if holder(files.pidfile) is None:
            return []
        try:
            with Monitor(files.fabric_monitor, timeout=2) as monitor:
                return _current(monitor, port)
        except MonitorError:
            return []


def _made_at(way_out: Path) -> int | None:
    """Return when a card's way out was made: forwards go with it when a card is pulled, and do not come back."""
    try:
        return way_out.lstat().st_ctime_ns
    except FileNotFoundError:
        return None


def wanted_forwards(port: PortPlan) -> frozenset[Wanted]:
    """Return what the port's ingress rules open to this computer at its floating IPs."""
    rules = port.rules if port.filtered else (_EVERYTHING,)
    ways = [(port.floating_ip, port.port.fixed_ip)] if port.floating_ip else []
    ways += port.further_floating_ips
    return frozenset(
        Wanted(protocol, address, number, fixed_ip)
        for address, fixed_ip in ways
        for protocol in ("tcp", "udp")
        for number in _open(rules, protocol)
    )


_EVERYTHING = Rule(direction="ingress", protocol=None, port_min=None, port_max=None, remote_cidr=None)


def _open(rules: Iterable[Rule], protocol: str) -> Iterable[int]:
    """Return the open ports; UDP's only where a rule names it, since each is a socket that QEMU holds."""
    known = {"tcp": WELL_KNOWN, "udp": WELL_KNOWN_UDP}[protocol]
    for rule in rules:
        if rule.direction != "ingress" or rule.ethertype != "IPv4":
            continue
        if rule.protocol not in _NAMES[protocol]:
            continue
        if rule.remote_ips is not None or not _from_here(rule.remote_cidr):
            continue
        low = 1 if rule.port_min is None else rule.port_min
        high = (65535 if rule.port_min is None else low) if rule.port_max is None else rule.port_max
        if high - low < _NARROW:
            yield from range(low, high + 1)
        else:
            yield from (number for number in known if low <= number <= high)


def _from_here(cidr: str | None) -> bool:
    """Return whether callers on this computer, which come from its loopback address, are meant."""
    return cidr is None or (":" not in cidr and IPv4Address("127.0.0.1") in IPv4Network(cidr, strict=False))


def _reconcile(monitor: Monitor, port: PortPlan, wanted: frozenset[Wanted]) -> list[str]:
    """Remove what is not wanted, add what is missing; return what could not be added."""
    netdev = f"u{port_key(port.port.id)}"
    present: set[Wanted] = set()
    for way, host_port in _current(monitor, port):
        if way in wanted:
            present.add(way)
        else:
            monitor.human(f"hostfwd_remove {netdev} {way.protocol}:{way.address}:{host_port}")
    failed: list[str] = []
    for protocol, address, number, fixed_ip in sorted(wanted - present):
        fallback = number + FALLBACK_OFFSET
        for host_port in (number, fallback if fallback < 65536 else number):
            words = f"{netdev} {protocol}:{address}:{host_port}-{fixed_ip}:{number}"
            if not monitor.human(f"hostfwd_add {words}").strip():
                break
        else:
            failed.append(f"{address}:{number}" if protocol == "tcp" else f"{address}:{number}/udp")
    return failed


def _current(monitor: Monitor, port: PortPlan) -> list[Forward]:
    """Return the forwards of one card's way out, as QEMU lists them under the name of its netdev."""
    here, found = False, list[Forward]()
    for line in monitor.human("info usernet").splitlines():
        if line and not line[0].isspace():
            here = f"(u{port_key(port.port.id)})" in line
        match = _FORWARD.search(line) if here else None
        if match:
            protocol, address, host_port, fixed_ip, number = match.groups()
            found.append(Forward(Wanted(protocol.lower(), address, int(number), fixed_ip), int(host_port)))
    return found


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "direction": rule.direction,
        "ethertype": rule.ethertype,
        "protocol": rule.protocol,
        "port_min": rule.port_min,
        "port_max": rule.port_max,
        "remote_cidr": rule.remote_cidr,
        "remote_ips": None if rule.remote_ips is None else sorted(rule.remote_ips),
    }
