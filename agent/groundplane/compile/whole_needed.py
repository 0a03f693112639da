"""`WholeNeeded`: why a change of a source cannot be compiled by itself."""


class WholeNeeded(Exception):
    """The change may concern the whole site, or is not valid; the text says by what."""
