"""The batch service over HTTP: `router` for people's programs, `agent_router` for the agents in worker machines."""
