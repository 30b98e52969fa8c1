"""What is asked of Nova, and what it says."""

from __future__ import annotations

V = "/compute/v2.1"


def told(user, method, path, body=None, version="2.93"):
    """Status and message of a refusal."""
    answer = user.at(version).call(method, V + path, body)
    (fault,) = answer.json().values()
    return answer.status_code, fault["message"]


def made(user, method, path, body=None, version="2.93"):
    return user.at(version).ok(method, V + path, body)
