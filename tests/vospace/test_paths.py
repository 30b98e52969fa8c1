"""Paths, URLs and URIs: what goes in comes out, and nothing climbs."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from armillary.base.errors import Invalid
from armillary.vospace.paths import MAX_DEPTH, VOSPath, check_name, parse_uri, to_uri

OURS = ("armillary.example/vault",)
NAMES = st.text(min_size=1, max_size=60).filter(lambda name: "/" not in name)
quick = settings(max_examples=150, deadline=None, derandomize=True)


def fits(name: str) -> bool:
    try:
        check_name(name)
    except Invalid:
        return False
    return True


@quick
@given(st.lists(NAMES.filter(fits), min_size=1, max_size=5))
@example(["100%", "%41", "a#b?c", "a+b c"])
@example(["cafe\u0301", "caf\u00e9", "\u202e", "\ufeff"])
def test_a_path_comes_back_from_its_url_and_its_uri(names: list[str]) -> None:
    path = VOSPath(tuple(names))
    assert VOSPath.from_url(quote(str(path)).encode()) == path
    assert parse_uri(to_uri(path, "armillary.example~vault"), OURS) == path
    assert VOSPath.parse(str(path)) == path


@quick
@given(st.binary(max_size=80))
@example(b"/a/../../etc/passwd")
@example(b"/a/%2e%2e/%2E./x")
@example(b"/a/..%2f..%2fx")
@example(b"/a/%252e%252e/x")
@example(b"//././/")
@example(b"/%c0%ae%c0%ae/x")
def test_no_url_climbs(raw: bytes) -> None:
    try:
        path = VOSPath.from_url(raw)
    except Invalid as refusal:
        assert refusal.code == "invalid_uri"  # noqa: PT017 - the other outcome is as good
        return
    for name in path.names:
        assert name not in {"", ".", ".."}
        assert not set(name) & {"/", "\x00", "\n"}
        assert len(name.encode()) <= 255


@quick
@given(st.text(max_size=80))
@example("vos://armillary.example~vault/a/../b")
@example("vos://armillary.example~vault@elsewhere/a")
@example("vos://armillary.example!vault/a?view=data#x")
@example("vos://armillary.example~vault\n/a")
def test_no_text_is_a_uri_of_another_space(text: str) -> None:
    for uri in (text, f"vos://{text}", f"vos://armillary.example~vault/{text}"):
        try:
            path = parse_uri(uri, OURS)
        except Invalid:
            continue
        assert uri.strip().startswith(("vos://armillary.example~vault", "vos://armillary.example!vault"))
        assert ".." not in path.names


def test_a_path_has_at_most_128_names_and_4096_bytes() -> None:
    assert len(VOSPath(("d",) * MAX_DEPTH).names) == MAX_DEPTH
    for names in (("d",) * (MAX_DEPTH + 1), ("x" * 250,) * 17):
        with pytest.raises(Invalid):
            VOSPath(names)
