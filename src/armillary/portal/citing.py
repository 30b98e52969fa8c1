"""How what is frozen is cited: as a sentence, and as an entry of BibTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass

from armillary.provenance.frozen_store import Frozen

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Citation:
    """Both forms."""

    text: str
    bibtex: str


def citation_of(found: Frozen, *, author: str, project: str, page: str) -> Citation:
    """Return how to cite a frozen cluster: by its DOI once that is public, by its page before."""
    where = f"https://doi.org/{found.doi}" if found.doi and found.doi_state == "findable" else page
    by_doi = where != page
    entry = {
        "author": f"{{{_tex(author)}}}",
        "title": f"{{{_tex(found.title)}}}",
        "year": str(found.at.year),
        "publisher": f"{{{_tex(project)}}}",
        **({"doi": found.doi} if by_doi else {}),
        "url": where,
    }
    lines = [f"  {name} = {{{value}}}" for name, value in entry.items()]
    family = re.sub(r"[^A-Za-z0-9]", "", "".join(author.split()[-1:])) or "armillary"
    key = f"{family}{found.at.year}cluster{found.cluster}"
    return Citation(
        text=f"{author} ({found.at.year}): {found.title} [RO-Crate]. {project}. {where}",
        bibtex="@misc{" + ",\n".join([key, *lines]) + "\n}",
    )


def _tex(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))
