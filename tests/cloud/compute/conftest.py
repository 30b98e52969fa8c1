"""What tests of compute share."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def server_id(ada: Any) -> str:
    """An active server of Ada's."""
    return ada.up()


@pytest.fixture
def does(stage: Any, ada: Any) -> Callable[..., Any]:
    """Does something to a server, and waits for what comes of it."""

    def act(server_id: str, action: str, argument: Any = None, *, who: Any = None, status: int = 202) -> Any:
        answer = (who or ada).act(server_id, action, argument)
        assert answer.status_code == status, answer.text
        stage.settle()
        return answer

    return act


@pytest.fixture
def machine(stage: Any) -> Callable[[str], Any]:
    """What the engine says of a server's machine."""
    return lambda server_id: stage.machines.states().get(server_id)
