"""Who is in a room, from the words of several processes; no socket, no clock."""

from uuid import UUID

from chat_realtime.presence.domain import (
    CHANGES_TOLD_MAX,
    LISTED_MAX,
    SAMPLE_MAX,
    Here,
    RoomPresence,
    here,
)

ONE, TWO = UUID(int=1), UUID(int=2)
ANN, BEN = UUID(int=11), UUID(int=12)


def crowd(size: int, first: int = 100) -> list[tuple[UUID, str]]:
    return [(UUID(int=first + number), "online") for number in range(size)]


def word(node: UUID, rev: int, *people: tuple[UUID, str]) -> Here:
    return here(node, rev, people)  # type: ignore[arg-type]


def names(presence: RoomPresence) -> dict[UUID, str]:
    return {each.user_id: each.status for each in presence.whole().people}


def test_a_person_is_idle_only_when_all_their_devices_are() -> None:
    assert word(ONE, 1, (ANN, "idle"), (ANN, "online")).people == {ANN: "online"}
    assert word(ONE, 1, (ANN, "online"), (ANN, "idle")).people == {ANN: "online"}
    assert word(ONE, 1, (ANN, "idle"), (ANN, "idle")).people == {ANN: "idle"}


def test_an_invisible_device_does_not_count() -> None:
    assert word(ONE, 1, (ANN, "invisible"), (BEN, "online")).people == {BEN: "online"}
    assert word(ONE, 1, (ANN, "invisible")).count == 0


def test_one_person_on_two_processes_is_one_person() -> None:
    presence = RoomPresence()
    presence.hear(word(ONE, 1, (ANN, "idle")))
    presence.hear(word(TWO, 1, (ANN, "online"), (BEN, "idle")))
    assert names(presence) == {ANN: "online", BEN: "idle"}
    assert presence.whole().count == 2


def test_the_newest_word_of_a_process_stands_alone_and_an_older_one_is_dropped() -> None:
    presence = RoomPresence()
    presence.hear(word(ONE, 2, (BEN, "online")))
    assert not presence.hear(word(ONE, 1, (ANN, "online")))
    assert not presence.hear(word(ONE, 2, (ANN, "online")))
    assert names(presence) == {BEN: "online"}


def test_a_dead_process_takes_all_its_people_along_and_nobody_elses() -> None:
    presence = RoomPresence()
    presence.hear(word(ONE, 1, (ANN, "online")))
    presence.hear(word(TWO, 1, (ANN, "idle"), (BEN, "online")))
    assert presence.forget([TWO])
    assert names(presence) == {ANN: "online"}
    assert not presence.forget([TWO])


def test_changes_are_told_one_by_one_and_nothing_is_told_twice() -> None:
    presence = RoomPresence()
    presence.hear(word(ONE, 1, (ANN, "online")))
    (came,) = presence.show()
    assert not came.whole
    assert [(p.user_id, p.status) for p in came.people] == [(ANN, "online")]
    assert presence.show() == []
    presence.hear(word(ONE, 2, (ANN, "idle"), (BEN, "online")))
    assert {(s.people[0].user_id, s.people[0].status) for s in presence.show()} == {
        (ANN, "idle"),
        (BEN, "online"),
    }
    presence.hear(word(ONE, 3, (BEN, "online")))
    (went,) = presence.show()
    assert (went.count, went.people[0].user_id, went.people[0].status) == (1, ANN, "offline")


def test_many_changes_at_once_are_told_as_the_new_whole() -> None:
    presence = RoomPresence()
    presence.hear(word(ONE, 1, *crowd(CHANGES_TOLD_MAX + 1)))
    (told,) = presence.show()
    assert told.whole
    assert told.complete
    assert len(told.people) == CHANGES_TOLD_MAX + 1


def test_a_full_room_tells_its_number_and_a_sample() -> None:
    presence = RoomPresence()
    presence.hear(word(ONE, 1, *crowd(LISTED_MAX)))
    assert presence.whole().complete
    presence.hear(word(ONE, 2, *crowd(LISTED_MAX + 1)))
    told = presence.whole()
    assert (told.complete, told.count, len(told.people)) == (False, LISTED_MAX + 1, SAMPLE_MAX)
    assert len(word(ONE, 2, *crowd(5_000)).people) == SAMPLE_MAX


def test_two_half_full_processes_make_a_full_room() -> None:
    presence = RoomPresence()
    presence.hear(word(ONE, 1, *crowd(LISTED_MAX)))
    presence.hear(word(TWO, 1, *crowd(LISTED_MAX, first=5_000)))
    told = presence.whole()
    assert (told.complete, told.count, len(told.people)) == (False, 2 * LISTED_MAX, SAMPLE_MAX)
