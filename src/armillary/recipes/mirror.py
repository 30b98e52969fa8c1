"""Where packages come from: this computer's own apt configuration; the project names no mirror."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

from armillary.base.clock import to_iso
from armillary.recipes.model import AptSource, BuildFailed
from armillary.recipes.run import run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
"""Debian's own keys, where the package `debian-archive-keyring` puts them here and in the image."""

_ONE_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)")
_BUILT_IN = re.compile(r"my \$(mirror|secmirror)\s*=\s*'(https?://[^'$]+)'")
APT_HELPER = "/usr/lib/apt/apt-helper"
"""apt's own downloader, with this computer's settings of proxies and certificates."""
_POCKETS = ("", "-updates", "-security")


def sources_for(suite: str, *, root: Path = Path("/"), mirror: str | None = None) -> tuple[AptSource, ...]:
    """Return the sources of the Debian release `suite`, as this computer is configured.

    A host of another Debian release lends its mirrors, with the suite's name replaced; on any other system those count
    that mmdebstrap itself takes for Debian when it is told none.

    Args:
        suite: the release's code name, such as `bookworm`.
        root: where the computer's `/etc` is.
        mirror: overrides the configuration: the URL of a Debian mirror, or the path of a sources file.

    Raises:
        BuildFailed: neither apt nor mmdebstrap tells a network mirror of Debian, and no `mirror` was given.
    """
    if mirror and "://" in mirror:
        return (AptSource(uri=mirror, suites=(suite, f"{suite}-updates"), components=("main",)),)
    release = os_release(root)
    if mirror:
        stanzas = list(_stanzas(Path(mirror).read_text(encoding="utf-8"), mirror))
        names = {suite, *(s.removesuffix("-updates") for stanza in stanzas for s in stanza.suites)}
    elif release.get("ID") == "debian":
        stanzas = [
            s for path in _configured(root) for s in _stanzas(path.read_text(encoding="utf-8"), path.name)
        ]
        names = {suite, release.get("VERSION_CODENAME", suite), "stable"}
    elif defaults := _of_mmdebstrap(root, suite):
        return defaults
    else:
        raise BuildFailed(
            f"This computer runs {release.get('NAME', 'an unknown system')}: its packages are not Debian's",
            code="no_debian_mirror",
            remedy="Set ARMILLARY_DEBIAN_MIRROR to the URL of a Debian mirror that you may use",
        )
    found = tuple(_of_release(stanzas, names, suite))
    if not any(suite in source.suites for source in found):
        raise BuildFailed(
            f"No network mirror for Debian {suite} is configured in apt",
            code="no_debian_mirror",
            remedy="Set ARMILLARY_DEBIAN_MIRROR to the URL of a Debian mirror that you may use",
            facts={"suite": suite},
        )
    return found


def released(sources: Iterable[AptSource], *, work: Path) -> list[dict[str, str]]:
    """Return which state of its packages each suite has now: when its index was made, and the index's digest.

    It is asked for as apt itself would, with this computer's settings. A mirror that does not tell is left out.
    """
    found: list[dict[str, str]] = []
    target = work / "InRelease"
    for source in sources:
        for suite in source.suites:
            url = f"{source.uri.rstrip('/')}/dists/{suite}/InRelease"
            try:
                run([APT_HELPER, "download-file", url, str(target)], what="reading the index of packages")
                index = target.read_bytes()
            except (BuildFailed, OSError):
                continue
            date = re.search(rb"^Date: (.+)$", index, re.MULTILINE)
            if date:
                when = parsedate_to_datetime(date[1].decode().strip().replace("UTC", "+0000"))
                found.append(
                    {
                        "uri": source.uri,
                        "suite": suite,
                        "date": to_iso(when.astimezone(UTC)),
                        "sha256": hashlib.sha256(index).hexdigest(),
                    }
                )
    return found


def _of_mmdebstrap(root: Path, suite: str) -> tuple[AptSource, ...]:
    """The mirrors that the installed mmdebstrap has built in; none if it does not say."""
    program = root / "usr/bin/mmdebstrap"
    if not program.exists():
        return ()
    known = dict(_BUILT_IN.findall(program.read_text(encoding="utf-8", errors="replace")))
    if "mirror" not in known:
        return ()
    sources = [AptSource(uri=known["mirror"], suites=(suite, f"{suite}-updates"), components=("main",))]
    if "secmirror" in known:
        sources.append(AptSource(uri=known["secmirror"], suites=(f"{suite}-security",), components=("main",)))
    return tuple(sources)


def os_release(root: Path = Path("/")) -> Mapping[str, str]:
    """Return the fields of `/etc/os-release`."""
    path = root / "etc/os-release"
    if not path.exists():
        return {}
    lines = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: value.strip("\"'") for name, _, value in lines if value}


def _configured(root: Path) -> list[Path]:
    parts = root / "etc/apt/sources.list.d"
    names = sorted([*parts.glob("*.list"), *parts.glob("*.sources")])
    return [path for path in [root / "etc/apt/sources.list", *names] if path.exists()]


def _stanzas(text: str, name: str) -> Iterable[AptSource]:
    if name.endswith(".sources") or re.search(r"^URIs:", text, re.MULTILINE):
        yield from _deb822(text)
        return
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if match:
            uri, suite, components = match.groups()
            yield AptSource(uri=uri, suites=(suite,), components=tuple(components.split("#")[0].split()))


def _deb822(text: str) -> Iterable[AptSource]:
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for block in re.split(r"\n\s*\n", kept):
        fields: dict[str, str] = {}
        last = ""
        for line in block.splitlines():
            if line[:1].isspace():
                fields[last] = f"{fields.get(last, '')} {line.strip()}"
            elif ":" in line:
                last, _, value = line.partition(":")
                last = last.lower()
                fields[last] = value.strip()
        usable = "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no"
        if usable and "suites" in fields:
            for uri in fields.get("uris", "").split():
                components = tuple(fields.get("components", "").split())
                yield AptSource(uri=uri, suites=tuple(fields["suites"].split()), components=components)


def _of_release(stanzas: Iterable[AptSource], names: set[str], suite: str) -> Iterable[AptSource]:
    """Keep the network mirrors of the release called by one of `names`, and call it `suite`."""
    wanted = {f"{name}{pocket}": f"{suite}{pocket}" for name in sorted(names) for pocket in _POCKETS}
    for stanza in stanzas:
        suites = tuple(dict.fromkeys(wanted[name] for name in stanza.suites if name in wanted))
        if suites and stanza.uri.startswith(("http://", "https://")) and "main" in stanza.components:
            yield AptSource(uri=stanza.uri.rstrip("/"), suites=suites, components=("main",))
