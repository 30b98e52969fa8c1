"""What is known of our jobs in an HTCondor pool's queue."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table

from armillary.batch.store.columns import metadata
from armillary.columns import Moment

pool_jobs = Table(
    "batch_pool_jobs",
    metadata,
    Column("cluster", BigInteger, primary_key=True, autoincrement=False),
    Column("proc", Integer, primary_key=True, autoincrement=False),
    Column("turn", Integer, nullable=False),  # a job that is retried by a person is another one to the schedd
    Column("sending_since", Moment),  # while set and not sent, it may or may not be in the schedd's queue
    Column("schedd_cluster", Integer),  # None: not sent
    Column("schedd_proc", Integer),
    Column(
        "seen", String(128), nullable=False
    ),  # the mark of what the schedd said last, and we have followed
    Column("status", Integer, nullable=False),  # JobStatus then
    Column("entered", BigInteger, nullable=False),  # EnteredCurrentStatus then
    Column("run", BigInteger, nullable=False),  # JobCurrentStartDate of the last attempt on record
    Column("completions", Integer, nullable=False),  # NumJobCompletions then
    Column("priority", Integer, nullable=False),  # as the schedd was told
    Column("memory_mib", Integer),  # RequestMemory then
    Column("done", Boolean, nullable=False),  # over, and its results are ours: nothing more is asked
    Index("batch_pool_jobs_to_send", "schedd_cluster", "done"),
    Index("batch_pool_jobs_by_status", "done", "status"),
    Index("batch_pool_jobs_entered", "entered"),
)
"""One row for each job. What the schedd must be told is what differs between this and the job itself."""
