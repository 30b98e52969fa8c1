"""When nothing is left."""


class NoOverlapError(Exception):
    """The file has none of the pixels that were asked for: SODA's answer to that is no refusal."""
