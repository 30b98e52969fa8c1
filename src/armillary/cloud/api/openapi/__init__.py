"""Each service described in OpenAPI: from its routes, and from its rows in the policy."""
