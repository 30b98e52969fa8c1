"""The batch service over HTTP: `router` for people's programs, `agent_router` for agents in worker machines."""
