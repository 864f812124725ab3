"""The run is only as good as what it refuses: each way of not being good, once."""

from pathlib import Path

import pytest
from seda_autobahn.verdict import Case, Waiver, complaints, read_cases, read_waivers, table

GOOD = Case("1.1.1", "OK", "OK")
LATE = Waiver("NON-STRICT", "RFC 6455, 8.1 names no moment")


def test_a_good_run_has_no_complaints() -> None:
    cases = [
        GOOD,
        Case("6.4.3", "NON-STRICT", "OK"),
        Case("7.1.6", "INFORMATIONAL", "INFORMATIONAL"),
        Case("12.1.1", "UNIMPLEMENTED", "OK"),
    ]
    assert complaints(cases, {"6.4.3": LATE}, expected=4) == []


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        (Case("7.1.5", "FAILED", "OK"), "7.1.5: FAILED"),
        (Case("7.1.5", "OK", "UNCLEAN"), "7.1.5: UNCLEAN"),
        (Case("3.2", "NON-STRICT", "OK"), "3.2: NON-STRICT"),
        (Case("1.2.1", "UNIMPLEMENTED", "OK"), "1.2.1: UNIMPLEMENTED"),
        (Case("12.1.1", "FAILED", "OK"), "12.1.1: FAILED"),
        (Case("6.4.3", "FAILED", "OK"), "6.4.3: FAILED"),
        (Case("6.4.3", "OK", "OK"), "6.4.3: OK, so its waiver can go"),
    ],
)
def test_what_is_not_waived_as_it_happened_is_complained_of(case: Case, complaint: str) -> None:
    assert complaints([case], {"6.4.3": LATE}, expected=1) == [complaint]


def test_a_run_that_ended_early_is_complained_of() -> None:
    assert complaints([GOOD], {}, expected=2) == ["1 cases ran, not 2"]


def test_cases_are_read_in_the_order_of_their_numbers() -> None:
    entry = {"behavior": "OK", "behaviorClose": "OK"}
    cases = read_cases({"10.1.1": entry, "9.1.1": entry, "1.1.10": entry, "1.1.9": entry})
    assert [case.id for case in cases] == ["1.1.9", "1.1.10", "9.1.1", "10.1.1"]


def test_the_table_counts_by_group_and_names_what_failed() -> None:
    rows = [GOOD, Case("6.4.3", "NON-STRICT", "OK"), Case("7.1.5", "FAILED", "OK")]
    lines = table(rows, {"6.4.3": LATE}).splitlines()
    assert lines[1].split() == ["1", "1", "1", "0", "0", "0", "0"]
    assert lines[4].split() == ["all", "3", "1", "1", "0", "0", "1"]
    assert lines[-2:] == ["6.4.3 NON-STRICT: RFC 6455, 8.1 names no moment", "7.1.5 FAILED"]


def test_a_waiver_without_a_section_of_the_rfc_is_refused() -> None:
    with pytest.raises(ValueError, match=r"7\.1\.5"):
        read_waivers('["7.1.5"]\nresult = "FAILED"\nreason = "it is hard"\n')


def test_the_committed_waivers_can_be_read() -> None:
    waivers = read_waivers((Path(__file__).parents[1] / "waivers.toml").read_text())
    assert all(waiver.result == "NON-STRICT" for waiver in waivers.values())
