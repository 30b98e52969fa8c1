"""Finds every error code in the source, by reading it as a syntax tree; nothing is imported or run."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).parent.parent
_ROOT = "ArmillaryError"
_OWN = {"ClientError", "Unreachable"}
"""Raised by a user's command, with the status that came over the wire, if one came."""
_REASONS = {"Refusal", "Fault", "Outcome"}
"""Values, not exceptions: why a job waits or was held."""


@dataclass(kw_only=True)
class Found:
    """One code: its HTTP statuses, what is said with it first, and the modules that use it."""

    statuses: set[int] = field(default_factory=set[int])
    says: str = ""
    where: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, kw_only=True)
class _Helper:
    """A function that makes errors for others and takes their code."""

    kind: str
    position: int
    default: str


class _Reader:
    def __init__(self) -> None:
        self.trees = {
            ".".join(file.relative_to(SOURCE).with_suffix("").parts): ast.parse(file.read_text())
            for file in sorted(SOURCE.rglob("*.py"))
        }
        self.statuses: dict[str, int] = {_ROOT: 500}
        self.codes: dict[str, str] = {}
        self.errors: dict[str, Found] = defaultdict(Found)
        self.reasons: dict[str, Found] = defaultdict(Found)
        self._learn_classes()
        for module, tree in self.trees.items():
            self._read(module, tree)

    def _learn_classes(self) -> None:
        classes = [
            (module, node)
            for module, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        ]
        before = 0
        while before != len(self.statuses):  # until no class is new: bases may come later than their heirs
            before = len(self.statuses)
            for module, node in classes:
                base = next(
                    (b.id for b in node.bases if isinstance(b, ast.Name) and b.id in self.statuses), ""
                )
                if base or node.name == _ROOT:
                    own = dict(_constants(node))
                    status = own.get("status", self.statuses.get(base, 500))
                    self.statuses[node.name] = int(str(status))
                    self.codes[node.name] = str(own.get("code") or self.codes.get(base, "internal_error"))
                    if "code" in own:
                        says = (ast.get_docstring(node) or "").partition("\n")[0]
                        self._note(node.name, self.codes[node.name], says, module)

    def _read(self, module: str, tree: ast.Module) -> None:
        helpers = self._helpers(tree)
        if module.startswith(("cloud.network", "cloud.api.network")):
            helpers |= {"bad": _Helper(kind="Invalid", position=9, default="invalid_input")}
        for function, call in _calls(tree):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            helper = helpers.get(name)
            kind = helper.kind if helper else name
            if name == "not_found" and call.args and isinstance(call.args[0], ast.Constant):
                thing = str(call.args[0].value)  # Neutron's things, each with a code of its own
                code = f"{thing.lower().replace(' ', '_')}_not_found"
                self._note("NotFound", code, f"{thing} … could not be found.", module)
            if kind not in self.statuses and kind not in _REASONS:
                continue
            given = next((k.value for k in call.keywords if k.arg in {"code", "hold_code"}), None)
            if given is None and helper and len(call.args) > helper.position:
                given = call.args[helper.position]
            if given is None and kind == "Fault" and module.startswith("guest.agent") and call.args:
                given = call.args[0]
            codes = _texts(given, function, tree)
            if not codes and helper and helper.default:
                codes = [helper.default]
            messages = _texts(_message(call, kind, module), function, tree) or [""]
            for number, code in enumerate(codes):
                self._note(kind, code, messages[number % len(messages)], module)

    def _helpers(self, tree: ast.Module) -> dict[str, _Helper]:
        found: dict[str, _Helper] = {}
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            names = [a.arg for a in node.args.args]
            if "code" not in names:
                continue
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                    takes = any(k.arg == "code" and ast.unparse(k.value) == "code" for k in call.keywords)
                    if takes and call.func.id in self.statuses:
                        position = names.index("code")
                        number = position - (len(names) - len(node.args.defaults))
                        default = ast.literal_eval(node.args.defaults[number]) if number >= 0 else ""
                        found[node.name] = _Helper(kind=call.func.id, position=position, default=default)
        return found

    def _note(self, kind: str, code: str, says: str, module: str) -> None:
        found = (self.reasons if kind in _REASONS else self.errors)[code]
        if kind in self.statuses and kind not in _OWN:
            found.statuses.add(self.statuses[kind])
        found.says = found.says or says
        found.where.add(module)


def _constants(node: ast.ClassDef) -> Iterator[tuple[str, object]]:
    for item in node.body:
        target = item.targets[0] if isinstance(item, ast.Assign) else getattr(item, "target", None)
        value = getattr(item, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            yield target.id, value.value


def _calls(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.Call]]:
    """Every call with the function that it is in, or the module."""
    stack: list[tuple[ast.AST, ast.AST]] = [(tree, tree)]
    while stack:
        function, node = stack.pop()
        if isinstance(node, ast.Call):
            yield function, node
        inside = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        stack.extend((inside, child) for child in ast.iter_child_nodes(node))


def _texts(value: ast.expr | None, function: ast.AST, tree: ast.Module) -> list[str]:
    """The texts that an expression may have: constants, both sides of a choice, a column of a literal table."""
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=one, orelse=other):
            return _texts(one, function, tree) + _texts(other, function, tree)
        case ast.BoolOp(values=choices):
            return [text for choice in choices for text in _texts(choice, function, tree)]
        case ast.JoinedStr():
            return [_template(value)]
        case ast.BinOp(left=first):
            return _texts(first, function, tree)
        case ast.Name(id=name):
            found = [text for loop in _loops(function) for text in _column(loop, name, function, tree)]
            return found or _assigned(name, value.lineno, function, tree)
        case _:
            return []


def _assigned(name: str, line: int, function: ast.AST, tree: ast.Module) -> list[str]:
    before = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name and node.lineno < line
    ]
    return _texts(max(before, key=lambda node: node.lineno).value, function, tree) if before else []


def _loops(function: ast.AST) -> Iterator[ast.For]:
    return (node for node in ast.walk(function) if isinstance(node, ast.For))


def _column(loop: ast.For, name: str, function: ast.AST, tree: ast.Module) -> Iterator[str]:
    if not isinstance(loop.target, ast.Tuple) or not isinstance(loop.iter, ast.Name):
        return
    names = [ast.unparse(part) for part in loop.target.elts]
    if name not in names:
        return
    for node in (*ast.walk(function), *tree.body):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
            continue
        if ast.unparse(node.targets[0]) == loop.iter.id:
            for row in node.value.elts:
                if isinstance(row, ast.Tuple):
                    yield from _texts(row.elts[names.index(name)], tree, tree)


def _template(value: ast.JoinedStr) -> str:
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in value.values)


def _message(call: ast.Call, kind: str, module: str) -> ast.expr | None:
    given = next((k.value for k in call.keywords if k.arg in {"message", "reason"}), None)
    position = 1 if kind == "Fault" and module.startswith("guest.agent") else 0
    return given or (call.args[position] if len(call.args) > position else None)


def _rows(found: dict[str, Found], *, with_status: bool) -> str:
    lines: list[str] = []
    for code, one in sorted(found.items()):
        says = " ".join(one.says.replace("|", "\\|").split()) or "in the words of the cloud or the program"
        status = f"{', '.join(map(str, sorted(one.statuses))) or '–'} | " if with_status else ""
        where = ", ".join(sorted({".".join(module.split(".")[:2]) for module in one.where}))
        lines.append(f"| `{code}` | {status}{says} | {where} |\n")
    return "".join(lines)


@functools.cache
def _source() -> _Reader:
    return _Reader()


def error_codes() -> set[str]:
    """Return every code of an error or a reason."""
    read = _source()
    return {*read.errors, *read.reasons}


def page(note: str) -> str:
    """Return the reference page; `note` says how it was made."""
    read = _source()
    return f"""# Errors

{note}
Every refusal has a code, a status, a sentence, the facts behind it, and one remedy. Our own APIs send it so:

```json
{{"error": {{"code": "wrong_password", "status": 401, "message": "…", "facts": {{}}, "remedy": "…"}}}}
```

`armillary … --json` prints the same object. The other protocols have shapes of their own, with the same sentence:

| Protocol | Shape |
|---|---|
| Compute, Block Storage | `{{"badRequest": {{"code": 400, "message": "…"}}}}`, the key after the status |
| Network | `{{"NeutronError": {{"type": "…", "message": "…", "detail": ""}}}}`, the type is our code in camel case |
| Identity | `{{"error": {{"code": 400, "title": "Bad Request", "message": "…"}}}}` |
| Image | a page with the sentence, as Glance sends |
| VOSpace | text: the standard's fault, the sentence, the remedy; our code is in the header `x-armillary-code` |

VOSpace sends another status for four codes, as its clients expect: `quota_exceeded` 413, `node_locked` and `node_frozen` 423,
`operation_not_supported` 501. A code with `–` comes from a command on your side. Codes of the daemon's own commands (`app.…`), or
of the making of a machine (`cloud.engines`), never travel over HTTP; their status only says of which kind they are. `…` stands for a name or a figure.

## Codes

| Code | Status | Says, for example | Where |
|---|---|---|---|
{_rows(read.errors, with_status=True)}
## Reasons

Why a job waits, or was put on hold: `armillary job explain`, the portal, and `GET /api/v1/batch/jobs/JOB/explain` show
them. The codes above can be reasons too, when a cloud answers with one.

| Code | Says, for example | Where |
|---|---|---|
{_rows(read.reasons, with_status=False)}"""
