"""How tests are spread over the workers of pytest-xdist: a file stays on one, in its order."""

from xdist.scheduler import LoadScopeScheduling

PLATFORM = ("infra/e2e/", "infra/faults/tests/test_schedule.py")
"""They start the whole platform: two at once would only slow each other down."""


class FilesStayTogether(LoadScopeScheduling):  # type: ignore[misc] # xdist tells no types
    """Else each worker would build every module's databases, and tear them down between two tests.

    Not `--dist loadgroup`: it writes groups into names of tests that pytest 9.2 does not read.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "platform" if file.startswith(PLATFORM) else file
