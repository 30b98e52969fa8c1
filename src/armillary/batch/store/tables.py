"""The tables of batch. Times are UTC; JSON columns hold what is never searched."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from armillary.batch.store.columns import metadata
from armillary.batch.store.shapes import count_by_triggers
from armillary.columns import Moment, Serial

TROUBLED = text("(state = 'held' OR (state = 'completed' AND NOT succeeded))")
"""Of jobs: what failed or is held. Said with just these words, it is found without a look at the others."""

clusters = Table(
    "batch_clusters",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("project", String(64), nullable=False),
    Column("project_name", String(255), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("owner_name", String(255), nullable=False),
    Column("batch_name", String(255)),
    Column("image", String(128), nullable=False),
    Column("image_name", String(255), nullable=False),
    Column("flavor", String(255), nullable=False),
    Column("submit_text", Text, nullable=False),
    Column("submitted_at", Moment, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("idempotency_key", String(255)),
    Column("request_hash", String(64), nullable=False),
    Column("accounting_group", String(255)),
    Column("max_materialize", Integer),
    Column("max_idle", Integer),
    Column("notification", String(16), nullable=False, server_default="NEVER"),
    Column("notify_user", String(255)),
    Column("notify_url", String(2048)),
    Column("common", JSON, nullable=False, server_default="{}"),  # what the specs of all jobs say alike
    Column("common_inputs", JSON, nullable=False, server_default="[]"),
    UniqueConstraint("owner", "idempotency_key"),
    Index("batch_clusters_by_project", "project", "id"),
    sqlite_autoincrement=True,  # a cluster's number is never used again
)

jobs = Table(
    "batch_jobs",
    metadata,
    Column("cluster", Serial, primary_key=True, autoincrement=False),
    Column("proc", Integer, primary_key=True, autoincrement=False),
    Column("project", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("image", String(128), nullable=False),
    Column("flavor", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("entered_at", Moment, nullable=False),
    Column("submitted_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("priority", Integer, nullable=False),
    Column("cpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_kib", BigInteger, nullable=False),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("max_retries", Integer, nullable=False),
    Column("shape", BigInteger),  # of batch_shapes, which counts it
    Column("spec", JSON, nullable=False),  # what differs from the cluster's `common`: see store/specs.py
    Column("inputs", JSON, nullable=False),  # besides the cluster's
    Column("attempts", Integer, nullable=False, default=0),
    Column("live_attempt", Integer),  # while set, no other attempt may begin
    Column("committed_attempt", Integer),  # whose outputs and logs are the job's
    Column("retried", Integer, nullable=False, default=0),
    Column("lost", Integer, nullable=False, default=0),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("succeeded", Boolean),  # of a completed job: whether it ended as it should
    Column("hold_code", String(64)),
    Column("hold_subcode", Integer),  # which a policy gave
    Column("holds", Integer, nullable=False, server_default="0"),
    Column("reason", Text),
    Index(
        "batch_jobs_waiting",
        "shape",
        "proc",
        sqlite_where=text("state = 'idle' AND live_attempt IS NULL"),
        postgresql_where=text("state = 'idle' AND live_attempt IS NULL"),
    ),
    Index("batch_jobs_by_project", "project", "cluster", "proc"),
    Index(
        "batch_jobs_troubled",
        *("cluster", "state", "hold_code", "exit_code", "signal", "proc", "memory_mib"),
        sqlite_where=TROUBLED,
        postgresql_where=TROUBLED,
    ),
)

attempts = Table(
    "batch_attempts",
    metadata,
    Column("cluster", Serial, primary_key=True, autoincrement=False),
    Column("proc", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("worker", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("project", String(64)),
    Column("state", String(16), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("cpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_kib", BigInteger, nullable=False),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("claimed_at", Moment, nullable=False),
    Column("charged_at", Moment),  # until when it counts for its owner's share
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("error", Text),
    Column("usage", JSON, nullable=False),
    Column("became", String(16)),  # the job's state that `finish` answered, to answer it again
    Column("credential", String(64)),
    Column("credential_expires", Moment),
    Index("batch_attempts_of_worker", "worker", "live"),
    Index("batch_attempts_live", "live", "lease_until"),
    Index("batch_attempts_by_credential", "credential"),
)
ENDED = text("NOT batch_attempts.live")
"""Of an attempt, for queries that choose few by something else: no index of all those that have ended is of use."""

outputs = Table(
    "batch_outputs",
    metadata,
    Column("cluster", Serial, primary_key=True, autoincrement=False),
    Column("proc", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("name", String(4096), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
)

events = Table(
    "batch_events",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("cluster", Serial, nullable=False),
    Column("proc", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer),
    Column("worker", String(64)),
    Column("detail", JSON, nullable=False),
    Index("batch_events_of_cluster", "cluster", "seq"),
    sqlite_autoincrement=True,
)

workers = Table(
    "batch_workers",  # the embedded engine's: machines that were invited, and came
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project", String(64), nullable=False),
    Column("image", String(128), nullable=False),
    Column("flavor", String(255), nullable=False),
    Column("invited_at", Moment, nullable=False),
    Column("invite_hash", String(64)),
    Column("invite_until", Moment),
    Column("expected_server", String(64)),
    Column("server_id", String(64)),
    Column("session_hash", String(64)),
    Column("session_used", Boolean, nullable=False, default=False),
    Column("registered_at", Moment),
    Column("last_seen_at", Moment),
    Column("idle_since", Moment),
    Column("agent_version", String(255), nullable=False, default=""),
    Column("cpus", Integer),
    Column("memory_mib", BigInteger),
    Column("disk_kib", BigInteger),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("draining", Boolean, nullable=False, default=False),
    Column("left_at", Moment),
    Column("lost_at", Moment),
    Column("lost_reason", Text),
    UniqueConstraint("invite_hash"),
    UniqueConstraint("session_hash"),
)

machines = Table(
    "batch_machines",  # the scaler's: every server that we asked a cloud for
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project", String(64), nullable=False),
    Column("project_name", String(255), nullable=False),
    Column("image", String(128), nullable=False),
    Column("flavor", String(255), nullable=False),
    Column("cloud", String(255), nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_kib", BigInteger, nullable=False),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False),
    Column("server_id", String(64)),
    Column("reason", Text),
    Column("reason_code", String(64)),
    Column("created_at", Moment, nullable=False),
    Column("booted_at", Moment),
    Column("registered_at", Moment),
    Column("ended_at", Moment),
    Column("size_flavor", String(255)),  # where `flavor`, the group's, is open
    Column("asked_at", Moment),
    Column("ending_at", Moment),
    Index("batch_machines_by_state", "state", "created_at"),
    Index("batch_machines_of_project", "project", "created_at"),
)

lanes = Table(
    "batch_lanes",  # how boots went of late; an empty field means any
    metadata,
    Column("cloud", String(255), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("image", String(128), primary_key=True),
    Column("flavor", String(255), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("first_at", Moment),
    Column("last_at", Moment),
    Column("code", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("not_before", Moment),
    Column("succeeded_at", Moment),
    Column("boots", Integer, nullable=False),
    Column("boot_seconds", Float, nullable=False),
    Column("touched_at", Moment, nullable=False),
)

reasons = Table(
    "batch_reasons",  # what the last round of placement said of each group
    metadata,
    Column("project", String(64), primary_key=True),
    Column("image", String(128), primary_key=True),
    Column("flavor", String(255), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("refusals", JSON, nullable=False),
    Column("offers", JSON),  # the kinds of machines that were looked at
)

deployment = Table(
    "batch_deployment",  # one row: the mark on our servers, so that two platforms on one cloud never mix them up
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("mark", String(64), nullable=False),
)


drained = Table(
    "batch_drained",  # clouds on which no new workers boot
    metadata,
    Column("cloud", String(255), primary_key=True),
    Column("since", Moment, nullable=False),
    Column("by_name", String(255), nullable=False),
    Column("reason", Text, nullable=False),
)


policies = Table(
    "batch_policies",  # one row for each submit whose jobs bring policies along
    metadata,
    Column("cluster", Serial, primary_key=True, autoincrement=False),
    Column("exits", Boolean, nullable=False),  # something is to be decided when a job ends
    Column("watched", Boolean, nullable=False),  # jobs are to be looked at once a minute, until all are over
    Column("periodic", Boolean, nullable=False),  # whether to watch again when one is retried
    Index("batch_policies_watched", "watched"),
)

notices = Table(
    "batch_notices",  # who is to be told that a submit is over
    metadata,
    Column("id", String(64), primary_key=True),
    Column("cluster", Serial, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("target", String(2048), nullable=False),
    Column("state", String(16), nullable=False),
    Column("said", Text, nullable=False),  # what was told last
    Index("batch_notices_waiting", "state", "id"),
    Index("batch_notices_of_cluster", "cluster"),
)

usage = Table(
    "batch_usage",  # sums by day; `slot` spreads those who add to the same sum at once
    metadata,
    Column("day", String(10), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("owner", String(64), primary_key=True),
    Column("cloud", String(255), primary_key=True),
    Column("image", String(128), primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("attempts", BigInteger, nullable=False),
    Column("jobs", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("wall_seconds", Float, nullable=False),
    Column("core_seconds", Float, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("memory_mib_seconds", Float, nullable=False),
    Column("waits", BigInteger, nullable=False),
    Column("wait_seconds", Float, nullable=False),
)

failures = Table(
    "batch_failures",  # attempts that did not end well, by day and cause
    metadata,
    *(
        Column(name, String(size), primary_key=True)
        for name, size in (("day", 10), ("project", 64), ("owner", 64))
    ),
    Column("cloud", String(255), primary_key=True),
    Column("image", String(128), primary_key=True),
    Column("cause", String(64), primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
)


def create_all(engine: Engine) -> None:
    """Make the tables that are not there yet."""
    metadata.create_all(engine)
    count_by_triggers(engine)
