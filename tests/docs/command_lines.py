"""Command lines in Markdown pages, and those that the demo runs."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ACTIONS = {"create", "list", "show", "start", "stop", "delete", "set", "unset"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> Iterator[list[str]]:
    """The command lines of a page's shell blocks, split into words; pipes and lists are taken apart."""
    for language, block in FENCE.findall(page.read_text()):
        if language in {"", "sh"}:
            for line in block.replace("\\\n", " ").splitlines():
                yield from commands(line)


def commands(line: str) -> Iterator[list[str]]:
    words = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    words.whitespace_split = True
    words.commenters = "#"
    command: list[str] = []
    for word in words:
        if word and set(word) <= set("|;&<>"):
            if command:
                yield command
            command = []
        else:
            command.append(word)
    if command:
        yield command


def spans(page: Path) -> Iterator[list[str]]:
    """Words of inline code that begins with a command of ours."""
    text = FENCE.sub("", page.read_text())
    for span in re.findall(r"`([^`\n]+)`", text):
        if re.match(r"(\./)?armillary [a-z]|canfar_submit ", span):
            yield span.replace("\\|", "|").split()


def verb(command: list[str]) -> str:
    """`openstack --os-cloud east server create …` → `openstack server create`; other programs by their name."""
    if command[0] != "openstack":
        return command[0]
    words = command[3:] if command[1] == "--os-cloud" else command[1:]
    if "add" in words[:2]:
        return " ".join(["openstack", *words[: words.index("add") + 3]])
    end = next(number for number, word in enumerate(words) if word in ACTIONS)
    return " ".join(["openstack", *words[: end + 1]])


def of_the_demo() -> Iterator[list[str]]:
    """What the demo runs; words that it works out are `?`."""
    tree = ast.parse((ROOT / "src/armillary/app/demo/path.py").read_text())
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        words = [str(arg.value) if isinstance(arg, ast.Constant) else "?" for arg in call.args]
        if call.func.attr == "_openstack":
            yield ["openstack", *words]
        elif words[:1] == ["openstack"] and not {"add", *ACTIONS}.intersection(words):
            continue  # the wrapper of all those above
        elif call.func.attr in {"run", "json"} and words and re.match("[a-z]", words[0]):
            yield words
