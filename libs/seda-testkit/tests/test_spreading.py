"""A file's tests run in one process, in their order, however many workers there are."""

import pytest

RAN: list[str] = []


@pytest.mark.parametrize("number", range(12))
def test_all_that_stand_before_a_test_ran_in_its_process(
    request: pytest.FixtureRequest, number: int
) -> None:
    here = [item.name for item in request.session.items if item.path == request.node.path]
    assert here[: here.index(request.node.name)] == RAN, f"test {number} is on a worker of its own"
    RAN.append(request.node.name)
