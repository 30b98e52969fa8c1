"""Other people's judges, run whole against a cloud of ours."""
