"""What batch at scale wants of its records: GPUs, what a submit says of all its jobs, and whether a job succeeded."""

from alembic import op
from sqlalchemy import JSON, BigInteger, Boolean, Column, DateTime, Integer, String, Text, inspect, text

from armillary.app.schema.changing import add_columns

revision = "0004"
down_revision = "0003"

_STATES = ("idle", "claimed", "running", "completed", "held", "removed")


def upgrade() -> None:
    """Add columns. What is over has ended as its exit code says."""
    for table in ("batch_jobs", "batch_attempts", "batch_workers", "batch_machines"):
        add_columns(table, [Column("gpus", Integer, nullable=False, server_default="0")])
    add_columns(
        "batch_jobs",
        [
            Column("succeeded", Boolean),
            Column("hold_subcode", Integer),
            Column("holds", Integer, nullable=False, server_default="0"),
        ],
    )
    add_columns(
        "batch_clusters",
        [
            Column("accounting_group", String(255)),
            Column("max_materialize", Integer),
            Column("max_idle", Integer),
            Column("notification", String(16), nullable=False, server_default="NEVER"),
            Column("notify_user", String(255)),
            Column("notify_url", String(2048)),
        ],
    )
    add_columns(
        "batch_machines",
        [Column("size_flavor", String(255)), Column("asked_at", DateTime), Column("ending_at", DateTime)],
    )
    add_columns("batch_reasons", [Column("offers", JSON)])
    if inspect(op.get_bind()).has_table("batch_boots"):
        op.drop_table("batch_boots")  # the failures of minutes: batch_lanes counts anew
    add_columns("batch_attempts", [Column("project", String(64)), Column("charged_at", DateTime)])
    add_columns("batch_jobs", [Column("shape", BigInteger)])
    add_columns(
        "batch_clusters",
        [
            Column("common", JSON, nullable=False, server_default="{}"),
            Column("common_inputs", JSON, nullable=False, server_default="[]"),
        ],
    )
    found = inspect(op.get_bind())
    if found.has_table("batch_jobs") and not found.has_table("batch_shapes"):
        _shape_jobs()
    if found.has_table("batch_jobs"):
        op.execute(
            text(
                "UPDATE batch_jobs SET succeeded = (exit_code IS NOT NULL AND exit_code = 0 AND signal IS NULL)"
                " WHERE state = 'completed'"
            )
        )


def _shape_jobs() -> None:
    """Count what there is; from now on triggers do, which the store makes when it opens."""
    op.create_table(
        "batch_shapes",
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("cluster", BigInteger, nullable=False),
        Column("project", String(64), nullable=False),
        Column("owner", String(64), nullable=False),
        Column("image", String(128), nullable=False),
        Column("flavor", String(255), nullable=False),
        Column("priority", Integer, nullable=False),
        Column("cpus", Integer, nullable=False),
        Column("memory_mib", BigInteger, nullable=False),
        Column("disk_kib", BigInteger, nullable=False),
        Column("gpus", Integer, nullable=False, server_default="0"),
        Column("requirements", Text, nullable=False, server_default=""),
        Column("rank", Text, nullable=False, server_default=""),
        Column("attributes", Text, nullable=False, server_default=""),
        Column("limits", JSON(none_as_null=True)),
        Column("at_most", Integer),
        *(
            Column(name, Integer, nullable=False, server_default="0")
            for name in (*_STATES, "live", "waiting")
        ),
    )
    for name, columns, condition in (
        ("batch_shapes_waiting", ["project", "image", "flavor", "owner", "priority"], "waiting > 0"),
        ("batch_shapes_live", ["project"], "live > 0"),
        ("batch_shapes_of_cluster", ["cluster"], None),
    ):
        where = text(condition) if condition else None
        op.create_index(name, "batch_shapes", columns, sqlite_where=where, postgresql_where=where)
    alike = "cluster, project, owner, image, flavor, priority, cpus, memory_mib, disk_kib, gpus"
    counts = {state: f"state = '{state}'" for state in _STATES}
    counts |= {"live": "live_attempt IS NOT NULL", "waiting": "state = 'idle' AND live_attempt IS NULL"}
    sums = ", ".join(f"sum(CASE WHEN {one} THEN 1 ELSE 0 END)" for one in counts.values())
    op.execute(
        text(
            f"INSERT INTO batch_shapes ({alike}, {', '.join(counts)})"  # noqa: S608 - all words are ours
            f" SELECT {alike}, {sums} FROM batch_jobs GROUP BY {alike}"
        )
    )
    same = " AND ".join(
        f"s.{name} = batch_jobs.{name}"
        for name in ("cluster", "priority", "cpus", "memory_mib", "disk_kib", "gpus")
    )
    op.execute(text(f"UPDATE batch_jobs SET shape = (SELECT s.id FROM batch_shapes s WHERE {same})"))  # noqa: S608
    op.execute(text("DROP INDEX IF EXISTS batch_jobs_to_claim"))
    waiting = text("state = 'idle' AND live_attempt IS NULL")
    op.create_index(
        "batch_jobs_waiting", "batch_jobs", ["shape", "proc"], sqlite_where=waiting, postgresql_where=waiting
    )
