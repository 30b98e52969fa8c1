"""ClassAds on the command line: chosen by an expression, printed as HTCondor's tools print them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import rich_click as click

from armillary.base.errors import Invalid
from armillary.base.job_ads import Expression
from armillary.cli.condor.options import Options
from armillary.client.submitfile.library import classad2

Ad = Mapping[str, Any]
PRINTING = {"json": 0, "long": 0, "autoformat": -1, "format": 2, "attributes": 1, "constraint": 1}
ALIASES = {"af": "autoformat", "l": "long", "cons": "constraint", "const": "constraint", "f": "format"}
_BETWEEN = {"t": "\t", ",": ", ", "n": "\n"}


class Question:
    """An expression over ads. Raises Invalid when it is none."""

    def __init__(self, text: str) -> None:
        self._library = classad2()
        self.text = text
        try:
            self._tree = self._library.ExprTree(text)
        except (self._library.ClassAdException, ValueError, SyntaxError) as error:
            raise Invalid(
                f"{text!r} is not a ClassAd expression",
                code="not_an_expression",
                remedy='Text stands in double quotes, such as Owner == "vera".',
            ) from error

    def ask(self, ad: Any) -> Any:
        """Return its value over an ad: a number, text, boolean, or None for what is undefined or an error."""
        try:
            value = self._tree.eval(ad)
        except (self._library.ClassAdException, ValueError, TypeError, RuntimeError, KeyError):
            return None
        # UNDEFINED and ERROR come as an enumeration, which is a number, and true
        return None if isinstance(value, self._library.Value) else value


def evaluable(ad: Ad) -> Any:
    """Return HTCondor's own ClassAd of an ad."""
    library = classad2()
    values: dict[str, Any] = {}
    for name, value in ad.items():
        values[name] = library.ExprTree(str(value)) if isinstance(value, Expression) else value
    return library.ClassAd(values)


def matching(ads: Iterable[Ad], constraint: str | None) -> Iterator[Ad]:
    """Yield the ads for which the constraint is true; undefined is not true."""
    if constraint is None:
        yield from ads
        return
    question = Question(constraint)
    for ad in ads:
        value = question.ask(evaluable(ad))
        if value is True or (isinstance(value, int | float) and value != 0):
            yield ad


def asks_for_ads(options: Options) -> bool:
    """Whether whole ads are to be printed, and no table."""
    return any(name in options for name in ("json", "long", "autoformat", "format"))


def print_ads(ads: Iterable[Ad], options: Options) -> None:
    """Print ads as -json, -long, -autoformat or -format say, one after the other as they come."""
    only = {name.lower() for name in (options.one("attributes") or "").replace(",", " ").split()}
    kept = (({n: v for n, v in ad.items() if n.lower() in only} if only else ad) for ad in ads)
    if "json" in options:
        _print_json(kept)
    elif "autoformat" in options:
        _autoformat(ads, options.said["autoformat"], options.letters.get("autoformat", ""))
    elif "format" in options:
        _formatted(ads, options.said["format"])
    else:
        for ad in kept:
            for name in sorted(ad, key=str.lower):
                click.echo(f"{name} = {literal(ad[name])}")
            click.echo()


def literal(value: Any) -> str:
    """Return a value as the ClassAd language writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not isinstance(value, Expression):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return str(value)


def _print_json(ads: Iterable[Ad]) -> None:
    begun = False
    for ad in ads:
        shape = {n: f"/Expr({v})/" if isinstance(v, Expression) else v for n, v in ad.items()}
        click.echo(("," if begun else "[") + "\n" + json.dumps(shape, indent=2, sort_keys=True))
        begun = True
    click.echo("]" if begun else "[\n]")


def _autoformat(ads: Iterable[Ad], wanted: Sequence[str], letters: str) -> None:
    if not wanted:
        raise Invalid("-autoformat needs attributes", code="bad_option", remedy="Say -af ClusterId ProcId.")
    questions = [Question(text) for text in wanted]
    between = next((_BETWEEN[letter] for letter in letters if letter in _BETWEEN), " ")
    if "h" in letters:
        click.echo(between.join([*(["ID"] if "j" in letters else []), *wanted]))
    for ad in ads:
        whole = evaluable(ad)
        cells = [f"{ad['ClusterId']}.{ad['ProcId']}"] if "j" in letters else []
        for question in questions:
            raw = _given(ad, question.text) if "r" in letters else None
            text = raw if raw is not None else _shown(question.ask(whole), quoted="V" in letters)
            cells.append(f"{question.text} = {text}" if "l" in letters else text)
        click.echo(between.join(cells) + ("\n" if "g" in letters else ""))


def _given(ad: Ad, name: str) -> str | None:
    """Return an attribute as it was written, if it is an expression."""
    found = next((value for known, value in ad.items() if known.lower() == name.lower()), None)
    return str(found) if isinstance(found, Expression) else None


def _shown(value: Any, *, quoted: bool) -> str:
    if value is None:
        return "undefined"
    return value if isinstance(value, str) and not quoted else literal(value)


def _formatted(ads: Iterable[Ad], pairs: Sequence[str]) -> None:
    wanted = [(form, Question(text)) for form, text in zip(pairs[::2], pairs[1::2], strict=True)]
    for ad in ads:
        whole = evaluable(ad)
        for form, question in wanted:
            value = question.ask(whole)
            if value is not None:
                click.echo(_filled(form, value), nl=False)


def _filled(form: str, value: Any) -> str:
    """Put a value into a C format, in which a backslash and an n may stand for a new line."""
    plain = form.replace("\\n", "\n").replace("\\t", "\t")
    try:
        return plain % (value,)
    except (TypeError, ValueError):
        try:
            return plain.replace("%d", "%s").replace("%i", "%s") % (_shown(value, quoted=False),)
        except (TypeError, ValueError):
            raise Invalid(f"{form!r} is not a format for one value", code="bad_option") from None
