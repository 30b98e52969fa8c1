"""Reading what clients send, by a map of attributes as Neutron's, and refusing it in Neutron's words."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, cast

from armillary.base.errors import Invalid
from armillary.cloud.network.desk import bad

JSON = dict[str, Any]
Read = Callable[[str, Any], Any]
"""Returns a value as the service takes it, or raises Neutron's refusal; the first argument is the attribute's name."""

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)
LONGEST = 255


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute of a body."""

    read: Read
    field: str = ""
    """What the service calls it, if it has another name there."""
    required: bool = False
    post: bool = True
    put: bool = True


Attributes = Mapping[str, Attribute]


def read_body(body: Any, name: str, attributes: Attributes, *, creating: bool) -> JSON:
    """Return the fields of `{name: {…}}` as the service takes them.

    Raises:
        Invalid: in Neutron's words.
    """
    if not isinstance(body, dict):
        raise _refused("Body contains invalid data")
    whole = cast("JSON", body)
    if not isinstance(whole.get(name), dict):
        raise _refused(f"Unable to find '{name}' in request body")
    return read_fields(whole[name], attributes, creating=creating)


def read_fields(sent: JSON, attributes: Attributes, *, creating: bool) -> JSON:
    """Return one resource's fields as the service takes them."""
    if creating:
        for name, attribute in attributes.items():
            if attribute.required and name not in sent:
                raise _refused(f"Failed to parse request. Required attribute '{name}' not specified")
    unknown = [name for name in sent if name not in attributes]
    if unknown:
        raise _refused(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    fields: JSON = {}
    for name, value in sent.items():
        attribute = attributes[name]
        if creating and not attribute.post:
            raise _refused(f"Attribute '{name}' not allowed in POST")
        if not creating and not attribute.put:
            raise _refused(f"Cannot update read-only attribute {name}")
        fields[attribute.field or name] = attribute.read(name, value)
    return fields


def _refused(message: str) -> Invalid:
    return bad(message, code="http_bad_request")


def _wrong(name: str, reason: str) -> Invalid:
    return _refused(f"Invalid input for {name}. Reason: {reason}.")


def string(name: str, value: Any) -> str:
    """Text of at most 255 characters; null is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(name, f"'{value}' is not a valid string")
    if len(value) > LONGEST:
        raise _wrong(name, f"'{value}' exceeds maximum length of {LONGEST}")
    return value


def boolean(name: str, value: Any) -> bool:
    """A truth value, or a word for one."""
    if isinstance(value, bool):
        return value
    lowered = str(value).lower()
    if lowered not in {"true", "false", "1", "0"}:
        raise bad(f"'{value}' cannot be converted to boolean.")
    return lowered in {"true", "1"}


def integer(low: int, high: int = 2**31 - 1) -> Read:
    """A whole number within bounds."""

    def read(name: str, value: Any) -> int:
        if isinstance(value, (bool, float)):
            raise bad(f"'{value}' is not an integer.")
        try:
            number = int(value)
        except (TypeError, ValueError) as error:
            raise bad(f"'{value}' is not an integer.") from error
        if number < low:
            raise _wrong(name, f"'{value}' is too small - must be at least '{low}'")
        if number > high:
            raise _wrong(name, f"'{value}' is too large - must be no larger than '{high}'")
        return number

    return read


def choice(*values: Any) -> Read:
    """One of a few values; numbers may come as text."""

    def read(name: str, value: Any) -> Any:
        for each in values:
            if value == each or (isinstance(each, int) and str(value) == str(each)):
                return each
        raise _wrong(name, f"{value} is not in valid_values")

    return read


def identifier(name: str, value: Any) -> str:
    """A UUID."""
    try:
        uuid.UUID(value)
    except (ValueError, AttributeError, TypeError) as error:
        raise _wrong(name, f"'{value}' is not a valid UUID") from error
    return value


def or_none(read: Read) -> Read:
    """What `read` takes, or null."""
    return lambda name, value: None if value is None else read(name, value)


def anything(name: str, value: Any) -> Any:
    """Something that the service itself looks at: text, a number or null."""
    if isinstance(value, (dict, list)):
        raise _wrong(name, f"'{value}' is not a valid string")
    return value


def address(name: str, value: Any) -> str:
    """An IP address, in its shortest form."""
    try:
        return str(ip_address(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise _wrong(name, f"'{value}' is not a valid IP address") from error


def cidr(name: str, value: Any) -> str:
    """A range of addresses."""
    try:
        ip_network(value if isinstance(value, str) else "", strict=False)
    except ValueError as error:
        raise bad(f"{value} is not in a CIDR format.") from error
    if "/" not in value:
        raise bad(f"{value} is not in a CIDR format.")
    return value


def mac(name: str, value: Any) -> str:
    """A hardware address of one card."""
    good = isinstance(value, str) and _MAC.fullmatch(value)
    if not good or int(value[:2], 16) & 1 or set(value) <= set("0:"):
        raise _wrong(name, f"'{value}' is not a valid MAC address")
    return value.lower()


def mapping(name: str, value: Any) -> JSON:
    """An object."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(name, f"'{value}' is not a dictionary")
    return cast("JSON", value)


def items(name: str, value: Any) -> list[Any]:
    """A list of anything."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(name, f"'{value}' is not a list")
    return cast("list[Any]", value)


def listed(read: Read, *, unique: str = "") -> Read:
    """A list of what `read` takes; with `unique`, the word for what may not be there twice."""

    def all_of(name: str, value: Any) -> list[Any]:
        found: list[Any] = []
        for item in items(name, value):
            one = read(name, item)
            if unique and one in found:
                raise _wrong(name, f"Duplicate {unique} '{item}'")
            found.append(one)
        return found

    return all_of


def exactly(parts: Mapping[str, Read]) -> Read:
    """An object with these keys and no others."""

    def read(name: str, value: Any) -> JSON:
        found = mapping(name, value)
        if set(found) != set(parts):
            raise _wrong(
                name,
                "Validation of dictionary's keys failed. Expected keys: "
                f"{_set(parts)} Provided keys: {_set(found)}",
            )
        return {key: part(name, found[key]) for key, part in parts.items()}

    return read


def _set(keys: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"'{key}'" for key in sorted(keys)) + "}"


def prefix(name: str, value: Any) -> str:
    """A range of addresses, as routes and pools name it."""
    try:
        ip_network(value if isinstance(value, str) else "", strict=False)
    except ValueError as error:
        raise _wrong(name, f"'{value}' is not a valid CIDR") from error
    return value


def pool_prefix(name: str, value: Any) -> str:
    """A range of addresses of a subnet pool."""
    try:
        return str(ip_network(value if isinstance(value, str) else "", strict=False))
    except ValueError as error:
        raise _wrong(name, f"'{value}' is not a valid IP subnet") from error


def nameserver(name: str, value: Any) -> str:
    """An IP address of a resolver."""
    try:
        return str(ip_address(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise _wrong(
            name, f"'{value}' is not a valid nameserver. '{value}' is not a valid IP address"
        ) from error


def gateway(name: str, value: Any) -> JSON:
    """A router's way out: `network_id`, perhaps with `enable_snat` and `external_fixed_ips`; empty for none."""
    found = mapping(name, value)
    if not found:
        return {}
    if "network_id" not in found or set(found) - {"network_id", "enable_snat", "external_fixed_ips"}:
        raise _wrong(
            name,
            "Validation of dictionary's keys failed. Expected keys: {'network_id'} Provided keys: "
            f"{_set(found)}",
        )
    if found["network_id"] is None:
        return {}
    read: dict[str, Read] = {
        "network_id": identifier, "enable_snat": boolean, "external_fixed_ips": fixed_ips
    }  # fmt: skip
    return {key: read[key](name, part) for key, part in found.items()}


def fixed_ips(name: str, value: Any) -> list[JSON]:
    """Wishes for addresses, each by `subnet_id`, `ip_address` or both."""
    found: list[JSON] = []
    for item in items(name, value):
        wish: JSON = {}
        for key, part in mapping(name, item).items():
            if part is None:
                continue
            if key == "ip_address":
                wish[key] = address(name, part)
                if any(other.get(key) == wish[key] for other in found):
                    raise _wrong(name, f"Duplicate IP address '{part}'")
            elif key == "subnet_id":
                wish[key] = identifier(name, part)
        found.append(wish)
    return found


def address_pairs(name: str, value: Any) -> list[JSON]:
    """Further addresses that a port may send from."""
    found: list[JSON] = []
    if isinstance(value, list) and len(cast("list[Any]", value)) > 10:
        raise bad(
            "The number of allowed address pair exceeds the maximum 10.",
            code="allowed_address_pair_exhausted",
        )
    for item in items(name, value):
        pair = mapping(name, item)
        unknown = set(pair) - {"ip_address", "mac_address"}
        if unknown:
            raise _refused(f"Unrecognized attribute(s) '{', '.join(sorted(unknown))}'")
        if "ip_address" not in pair:
            raise bad("AllowedAddressPair must contain ip_address", code="allowed_address_pairs_missing_ip")
        try:
            ip_network(pair["ip_address"])
        except (ValueError, TypeError) as error:
            raise _refused(f"'{pair['ip_address']}' is not a valid IP address") from error
        hardware = pair.get("mac_address")
        kept = {"ip_address": pair["ip_address"]} | ({"mac_address": mac(name, hardware)} if hardware else {})
        if kept in found:
            raise bad(
                f"Request contains duplicate address pair: mac_address {hardware} ip_address {pair['ip_address']}.",
                code="duplicate_address_pair_in_request",
            )
        found.append(kept)
    return found


def dhcp_options(name: str, value: Any) -> list[JSON]:
    """Options that DHCP sends to a port; an option without a value is taken away, so it is not kept."""
    found: list[JSON] = []
    for item in items(name, value):
        option = mapping(name, item)
        version = option.get("ip_version", 4)
        known = set(option) <= {"opt_name", "opt_value", "ip_version"}
        if not known or not isinstance(option.get("opt_name"), str) or str(version) not in {"4", "6"}:
            raise bad(f"No valid key specs matched for: {option}.")
        if option.get("opt_value") is not None:
            kept = {"opt_name": option["opt_name"], "opt_value": str(option["opt_value"])}
            found.append(kept | {"ip_version": int(version)})
    return found


def tag(value: Any) -> str:
    """One tag.

    Raises:
        Invalid: in the words of Neutron's tag plugin.
    """
    if not isinstance(value, str):
        raise bad(f"'{value}' is not a valid string.")
    if len(value) > LONGEST:
        raise bad(f"'{value}' exceeds maximum length of {LONGEST}.")
    return value


def tags(body: Any) -> Sequence[str]:
    """The tags of `{"tags": […]}`."""
    sent = cast("JSON", body).get("tags") if isinstance(body, dict) else None
    if not isinstance(sent, list):
        raise bad("Invalid tags body.")
    found: list[str] = []
    for value in cast("list[Any]", sent):
        one = tag(value)
        if one in found:
            raise bad(f"Duplicate items in the list: '{one}'.")
        found.append(one)
    return found
