"""The batch service over HTTP: `router` for people's programs, `agent_router` for agents in worker machines.

`shortcuts` are the short ways of those calls that an agent makes for each job. `call_router` and `agent_call_router` carry calls into running jobs between the two.
`pool_job_router` is for what stands beside jobs in an HTCondor pool.
"""

from armillary.batch.api.agents import agent_router
from armillary.batch.api.calls import agent_call_router, call_router
from armillary.batch.api.pool_jobs import pool_job_router
from armillary.batch.api.proc import proc_router
from armillary.batch.api.shortcut import shortcuts
from armillary.batch.api.users import router

__all__ = [
    "agent_call_router",
    "agent_router",
    "call_router",
    "pool_job_router",
    "proc_router",
    "router",
    "shortcuts",
]
