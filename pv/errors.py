"""What pv says when it cannot go on.

    PvError
    ├── UsageError        2  a flag, a selector or a path the user gave is wrong
    │   └── ConfigError   2  [tool.pv] is wrong
    ├── UnreadableContract 1  a contract file has errors, so its claims are not known
    ├── NothingToCheck    3  the selection is empty; empty is never green
    ├── CannotDecide      4  missing, stale or wrong target
    ├── EvidenceError     2  the evidence store cannot be read or written
    └── RunError          5  the supervised child could not be started

Messages are one line: where, what, got, expected, what to do.
The number is the exit code the command line ends with.
"""

from __future__ import annotations


class PvError(Exception):
    """Base of everything pv raises on purpose."""

    exit_code = 5


class UnreadableContract(PvError):  # noqa: N818 - a finding about the user's file
    exit_code = 1


class UsageError(PvError):
    exit_code = 2


class ConfigError(UsageError):
    pass


class NothingToCheck(PvError):  # noqa: N818 - an outcome with its own exit code, not a failure
    exit_code = 3


class CannotDecide(PvError):  # noqa: N818 - an outcome with its own exit code, not a failure
    exit_code = 4


class EvidenceError(PvError):
    exit_code = 2


class RunError(PvError):
    exit_code = 5
