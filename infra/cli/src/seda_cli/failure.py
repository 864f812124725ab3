"""A command that cannot go on says so in one line, with the next step in it."""


class CommandFailed(Exception):
    """What went wrong and what to do about it. Leaves with status 1."""


class WrongUsage(CommandFailed):
    """The words themselves were wrong. Leaves with status 2."""
