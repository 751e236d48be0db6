"""Why a figure is missing."""


class NotMeasured(Exception):  # noqa: N818 - what the table says of it
    """Something that a measurement needs is not there, or a run went wrong; one line."""
