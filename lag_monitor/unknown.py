"""What cannot be had is said, with the reason, and never guessed."""


class UnknownError(Exception):
    """Something cannot be had, and why, in one sentence."""
