"""What in the queue itself keeps a job waiting: bounds of its submit, concurrency limits, whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select, text

from armillary.batch.core.order import decayed
from armillary.batch.engines.embedded.demanding import left_of, limits_of, live_of
from armillary.batch.model import JobId, Refusal
from armillary.batch.store.shapes import WAITING, shapes, shares
from armillary.batch.store.tables import clusters, jobs


def waits_of(db: Connection, job: JobId, *, limits: Mapping[str, float], now: datetime) -> list[Refusal]:
    """Return what keeps an idle job from being claimed though a worker had room."""
    own = jobs.c.shape == shapes.c.id
    row = db.execute(
        select(shapes, clusters.c.max_idle)
        .join(jobs, own)
        .join(clusters, clusters.c.id == shapes.c.cluster)
        .where(jobs.c.cluster == job.cluster, jobs.c.proc == job.proc)
    ).first()
    if row is None:
        return []
    found: list[Refusal] = []
    if row.max_idle is not None:
        before = select(func.count()).where(
            jobs.c.cluster == job.cluster, jobs.c.proc < job.proc, text(WAITING)
        )
        ahead = db.execute(before).scalar_one()
        if ahead >= row.max_idle:
            found.append(
                Refusal(
                    code="max_idle",
                    message=f"{ahead} jobs of its submit wait before it, and max_idle lets {row.max_idle} ask for workers",
                    facts={"ahead": ahead, "at_most": row.max_idle},
                    remedy="It asks when one of them starts.",
                )
            )
    if row.at_most is not None:
        live = live_of(db, row.cluster)
        if live >= row.at_most:
            found.append(
                Refusal(
                    code="max_materialize",
                    message=f"{live} jobs of its submit are on workers, and max_materialize lets {row.at_most}",
                    facts={"live": live, "at_most": row.at_most},
                    remedy="It starts when one of them ends.",
                )
            )
    left = left_of(db, limits)
    for name, amount in limits_of(row).items():
        if name in left and amount > left[name] + 1e-9:
            used = limits[name] - left[name]
            found.append(
                Refusal(
                    code="concurrency_limit",
                    message=f"concurrency limit {name}: {used:g}/{limits[name]:g} are taken; the job takes {amount:g}",
                    facts={"limit": name, "used": used, "of": limits[name], "needs": amount},
                    remedy="It starts when jobs with this limit end.",
                )
            )
    kind = [shapes.c[name] == getattr(row, name) for name in ("project", "image", "flavor")]
    others = select(func.sum(shapes.c.waiting), func.count(shapes.c.owner.distinct())).where(
        *kind, shapes.c.owner != row.owner, shapes.c.waiting > 0
    )
    jobs_of_others, owners = db.execute(others).one()
    if owners:
        used = {
            one.owner: decayed(one.used, now - one.at)
            for one in db.execute(select(shares).where(shares.c.project == row.project))
        }
        hours = used.get(row.owner, 0.0) / 3600
        found.append(
            Refusal(
                code="fair_share",
                message=f"{jobs_of_others} job(s) of {owners} other(s) wait for the same workers; turns go by recent use,"
                f" and its owner has used {hours:.1f} core-hours of late",
                facts={"jobs": int(jobs_of_others), "owners": owners, "core_hours": round(hours, 3)},
                remedy="Turns even out by themselves; a priority orders one's own jobs only.",
            )
        )
    return found
