import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what belongs together when tests run on several cores (`-n 2 --dist loadgroup`).

    Real machines share the computer's cores and memory, so their tests keep to one process, first; the others go file by
    file, so that what a module starts is started once.
    """
    for item in items:
        together = "vm" if item.get_closest_marker("vm") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(together))
    items.sort(key=lambda item: item.get_closest_marker("vm") is None)
