"""The command line: what a person does at a terminal. Speaks to the platform through `client` alone."""
