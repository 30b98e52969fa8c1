"""What the tab key offers: jobs, projects, images, flavors. It never fails and never waits long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import rich_click as click

from armillary.base.errors import ArmillaryError
from armillary.client import config as settings

if TYPE_CHECKING:
    from armillary.client.http import Armillary

_SECONDS, _MOST = 2.0, 50
Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _asking(ask: Callable[[Armillary, str], Iterable[str]]) -> Completer:
    """Make a completer of a question to the platform; what goes wrong is nothing to be said while somebody types."""

    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        from armillary.client.http import Armillary

        try:
            config = settings.load()
            if not config.token:
                return []
            with Armillary(url=config.url, token=config.token, ca_file=config.ca, timeout=_SECONDS) as http:
                return sorted({one for one in ask(http, incomplete) if one.startswith(incomplete)})[:_MOST]
        except (ArmillaryError, OSError):
            return []

    return complete


def _targets(http: Armillary, incomplete: str) -> Iterator[str]:
    from itertools import islice

    from armillary.client.batch import Batch

    batch = Batch(http=http)
    cluster, dot, _ = incomplete.partition(".")
    if dot and cluster.isdecimal():
        yield from (str(job["job"]) for job in islice(batch.jobs(cluster=int(cluster)), 1000))
    else:
        yield from (str(one["cluster"]) for one in islice(batch.clusters(), 100))


def _projects(http: Armillary, _incomplete: str) -> Iterator[str]:
    from armillary.client.accounts import Accounts

    yield from (str(one["name"]) for one in Accounts(http=http).projects())


def _of_clouds(kind: str) -> Callable[[Armillary, str], Iterator[str]]:
    def names(http: Armillary, _incomplete: str) -> Iterator[str]:
        from armillary.client.clouds import Clouds

        clouds = Clouds(http=http)
        project = settings.load().project
        for cloud in clouds.clouds(project=project):
            found = clouds.images if kind == "images" else clouds.flavors
            yield from (str(one["name"]) for one in found(cloud["name"], project=project))

    return names


complete_targets = _asking(_targets)
complete_projects = _asking(_projects)
complete_images = _asking(_of_clouds("images"))
complete_flavors = _asking(_of_clouds("flavors"))
