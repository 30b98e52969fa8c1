"""Click's decorators with types that a strict checker understands: its own are generic in too many ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import rich_click as click


class Decorator(Protocol):
    """Makes a decorator that keeps what it decorates."""

    def __call__(self, *names: str, **options: Any) -> Callable[[Any], Any]: ...


_click: Any = click
argument: Decorator = _click.argument
option: Decorator = _click.option
ParamType: Any = _click.ParamType


def context() -> click.Context:
    """Return the context of the command that runs."""
    found = click.get_current_context(silent=True)
    assert found
    return found
