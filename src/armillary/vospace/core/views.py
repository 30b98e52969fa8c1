"""Which views a node takes and gives."""

from __future__ import annotations

from armillary.vospace.core.names import ANY_VIEW, BINARY_VIEW, DEFAULT_VIEW, FILE_VIEWS, PACKAGE_VIEW

ACCEPTED = (ANY_VIEW, BINARY_VIEW)
PROVIDED = (DEFAULT_VIEW, BINARY_VIEW, PACKAGE_VIEW, *FILE_VIEWS)


def accepts(is_file: bool) -> tuple[str, ...]:
    """Return the views in which bytes for a file, or a container, may come: any, kept as they are; none."""
    return ACCEPTED if is_file else ()


def provides(is_file: bool) -> tuple[str, ...]:
    """Return the views that a file gives, or a container: its bytes; an archive of what is below."""
    return (DEFAULT_VIEW, BINARY_VIEW) if is_file else (PACKAGE_VIEW,)
