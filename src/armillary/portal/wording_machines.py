"""What refusals about machines, volumes and networks are called to a person: by code, as in `wording`."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.portal.i18n import N_
from armillary.portal.wording_inside import INSIDE

MACHINES: Mapping[str, tuple[str, str]] = {
    **INSIDE,
    "same_size": (N_("%(server)s has the size %(flavor)s already."), N_("Choose another size.")),
    "disk_too_small": (
        N_("The image needs a disk of %(needs)s GiB, and %(flavor)s has %(has)s."),
        N_("Choose a larger size."),
    ),
    "disk_would_shrink": (
        N_("The disk of %(server)s has %(has)s GiB, and %(flavor)s only %(offers)s."),
        N_("Choose a size with a disk as large, or launch a new machine."),
    ),
    "bad_volume_size": (N_("A volume has 1 to 100,000 GiB."), N_("Name its size in GiB.")),
    "volume_in_use": (N_("The volume is attached to a machine."), N_("Detach it first.")),
    "volume_not_found": (N_("There is no such volume."), N_("List the volumes.")),
    "bad_rule": (
        N_("A rule names tcp or udp with a port from 1 to 65535 (or a range), or icmp."),
        N_("Give one port, like 443, or a range, like 8000-8080."),
    ),
    "rule_exists": (N_("There is such a rule already."), ""),
    "bad_cidr": (N_("“%(cidr)s” is no block of addresses."), N_("Write one like 10.20.0.0/24.")),
    "network_in_use": (N_("Machines are on this network."), N_("Unplug or delete them first.")),
    "security_group_in_use": (N_("Machines have this group."), N_("Give them another one first.")),
    "network_thing_not_found": (N_("There is no such thing in this project."), N_("Reload the page.")),
    "no_free_card": (N_("Every card of this machine has a floating IP."), N_("Take one off first.")),
    "shared_account": (
        N_("All projects share one account on cloud %(cloud)s: this cannot be done there."),
        N_("Use another cloud, or ask an administrator."),
    ),
    "not_sure": (
        N_("Beginning anew drops what is on the machine's disk."),
        N_("Tick the box if that is what you want."),
    ),
    "bad_term": (
        N_("A machine runs until a moment in the coming %(longest_days)s days."),
        N_("Choose a time that lies ahead, and not too far."),
    ),
    "machine_expired": (N_("The time of %(server)s ended at %(ends_at)s."), N_("Extend it first.")),
    "cloud_slow": (N_("Cloud %(cloud)s has not answered yet."), N_("This page asks again by itself.")),
}
"""Code of a refusal → what was wrong, and what to do."""
