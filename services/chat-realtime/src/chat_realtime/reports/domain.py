"""Rules of reports. Pure."""

from datetime import timedelta
from typing import Literal

COMMENT_LENGTH_MAX = 500
REPORTS_PER_HOUR_MAX = 30
"""By one person."""
WORDS_KEPT = timedelta(days=30)
"""How long a report keeps what the message said."""

ReportState = Literal["open", "dismissed", "acted"]


class ReportNotFound(Exception):
    def __str__(self) -> str:
        return "There is no such report."


class ReportClosed(Exception):
    def __str__(self) -> str:
        return "Somebody has dealt with this report already."


class TooManyReports(Exception):
    retry_after_seconds = 3_600

    def __str__(self) -> str:
        return f"At most {REPORTS_PER_HOUR_MAX} reports an hour."


class CannotReportSelf(Exception):
    def __str__(self) -> str:
        return "You cannot report what you said yourself; delete it."
