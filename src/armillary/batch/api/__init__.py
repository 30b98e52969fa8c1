"""The batch service over HTTP: `router` for people's programs, `agent_router` for agents in worker machines."""

from armillary.batch.api.agents import agent_router
from armillary.batch.api.users import router

__all__ = ["agent_router", "router"]
