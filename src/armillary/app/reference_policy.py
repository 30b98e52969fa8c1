"""The page of the clouds' policy: the table itself, a service after the other."""

from __future__ import annotations

from collections.abc import Iterable

from armillary.cloud.api.policy import compute, identity, image, network, volume
from armillary.cloud.api.policy.gate import WORDS
from armillary.cloud.api.policy.rows import Row

_SERVICES = {
    "identity": ("Identity v3", identity.ROWS),
    "image": ("Image v2", image.ROWS),
    "compute": ("Compute v2.1", compute.ROWS),
    "network": ("Network v2.0", network.ROWS),
    "volume": ("Block Storage v3", volume.ROWS),
}


def page(made: str) -> str:
    """Return the page, with `made` below its title."""
    tables = "\n".join(
        f"## {title}\n\n"
        f"A refusal says: `{WORDS[service].format(rule='…')}`\n\n"
        "| Endpoint | | Rule | Least | Foreign |\n|---|---|---|---|---|\n" + "".join(map(_line, rows))
        for service, (title, rows) in _SERVICES.items()
    )
    return f"""# Who may do what in the embedded clouds

{made}
One table says of each endpoint of the five OpenStack services who may use it. The services read it before every
request, and the tests try each row with each role and with another project's things. It follows OpenStack Zed with its new defaults:
a reader lists and shows, a member also writes, and what is for administrators of the cloud is for nobody else.

- **Rule** is the name in OpenStack's own policy files; where there is none, OpenStack asks for no role.
- **Least** is the least that one must be: *anyone* needs no token, a *user* any good token (it is the person's own things that are
  touched, or nobody's), *reader*, *member* and *manager* have at least that role in the token's project, *admin* administers the
  cloud. Each implies the ones before it. An *auditor* reads the system, or the domain, and is no member of a project by that. With *in a project*, an administrator's token needs a project in its scope, too.
- **Foreign** is the answer for what another project (in Identity: another user) has: 404 as if it were not there, or 403. Without
  one, nothing of others can be named, or all may see it. Administrators see everything.
- An action in the body of a `POST` follows its endpoint in brackets.

Refusals have status 403 and each service's own shape; see [errors](errors.md). Without a good token the answer is 401.

{tables}"""


def _line(row: Row) -> str:
    action = f" [`{row.action}`]" if row.action else ""
    rule = f"`{row.rule}`" if row.rule else ""
    least = row.least.value + (" in a project" if row.project else "")
    method = "any" if row.method == "*" else row.method
    cells: Iterable[str] = (
        f"`{method} {row.path}`{action}",
        row.says,
        rule,
        least,
        str(row.foreign or ""),
    )
    return f"| {' | '.join(cells)} |\n"
