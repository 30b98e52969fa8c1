"""Text that a machine wrote, for people to read."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a console's text without the escape sequences and control characters that a terminal would eat."""
    kept: list[str] = []
    escape = False
    for char in text.replace("\r\n", "\n"):
        if escape:
            # a sequence begins with ESC [ and ends with a letter (ECMA-48, 5.4)
            escape = not (char.isalpha() or char in "@~")
        elif char == "\x1b":
            escape = True
        elif char in "\n\t" or char.isprintable():
            kept.append(char)
    return "".join(kept)
