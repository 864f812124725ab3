"""JSON from strangers: decoded or None, walked with a bound, never an exception."""

from collections.abc import Iterator

import msgspec

JSON_LENGTH_MAX = 600_000
NODES_MAX = 4_000


def decode(text: str | bytes) -> object:
    """None for anything that is not JSON, including JSON nested deep enough to hurt."""
    if len(text) > JSON_LENGTH_MAX:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError):
        return None


def member(value: object, *path: str | int) -> object:
    """The value under a path of keys and positions, or None where the path breaks."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def members(value: object) -> list[object]:
    """A list as it is, one thing as a list of one, nothing as none."""
    if isinstance(value, list):
        return value[:100]
    return [] if value is None else [value]


def objects(value: object) -> Iterator[dict[str, object]]:
    """Every object inside, outermost first, stopping after a fixed number of nodes."""
    queue, position = [value], 0
    while position < len(queue) and position < NODES_MAX:
        node = queue[position]
        position += 1
        if isinstance(node, dict):
            yield node
            queue.extend(list(node.values())[:NODES_MAX])
        elif isinstance(node, list):
            queue.extend(node[:NODES_MAX])
