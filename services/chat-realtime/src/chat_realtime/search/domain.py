"""What can be asked. Pure."""

QUERY_LENGTH_MAX = 100
SEARCH_SECONDS_MAX = 2


class SearchTooBroad(Exception):
    """It was stopped: too much of the room had to be read for it."""

    def __str__(self) -> str:
        return "The search took too long. Ask for rarer words, or for one author."
