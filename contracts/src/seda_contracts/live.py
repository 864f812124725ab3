"""Core-NATS subjects for live fan-out. Signals may be lost: clients repair by `seq`."""

from uuid import UUID

from seda_contracts.base import subject_key


def room_subject(room_id: UUID) -> str:
    """Final socket frames of one room, published after commit. A signal holds one or several of
    them, each on a line of its own: what was committed together is told together.
    """
    return f"seda.live.room.{subject_key(room_id)}"


EVERY_ROOM_SUBJECT = "seda.live.room.*"
"""What a process with sockets may listen to; it subscribes to its own rooms one by one."""


def user_subject(user_id: UUID) -> str:
    """Notices for every socket of one person: kick, revoke, changed card."""
    return f"seda.live.user.{subject_key(user_id)}"


AUTHOR_SUBJECT = "seda.live.author"
"""A person's card changed (name, badge); every chat process hears it."""

NODE_SUBJECT = "seda.live.node"
"""Processes with sockets say that they live; who falls silent is taken out of every presence."""

EVERY_USER_SUBJECT = "seda.live.user.*"
"""Notices for anyone: a process with sockets hears all of them and looks whom they concern."""
