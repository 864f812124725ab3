"""RFC 9309, as far as it is ours and not the parser's."""

import time

import pytest
from crawler.robots import CRAWL_DELAY_SECONDS_MAX, permission, product_token, status_of

URL = "https://tunes.example/private/x"


def _allowed(body: str, url: str = URL) -> bool:
    return permission("found", body, url, "SedaBot").allowed


@pytest.mark.parametrize(
    ("status_code", "status"),
    [
        (200, "found"),
        (301, "absent"),
        (401, "absent"),
        (403, "absent"),
        (404, "absent"),
        (429, "unreachable"),
        (500, "unreachable"),
        (503, "unreachable"),
    ],
)
def test_a_status_says_whether_there_are_rules(status_code: int, status: str) -> None:
    assert status_of(status_code) == status


def test_absent_rules_allow_and_unreachable_rules_do_not_decide() -> None:
    assert permission("absent", "", URL, "SedaBot").allowed
    unknown = permission("unreachable", "", URL, "SedaBot")
    assert (unknown.allowed, unknown.known) == (False, False)


def test_rules_for_us_come_before_rules_for_all() -> None:
    body = "User-agent: *\nDisallow: /\n\nUser-agent: sedabot\nAllow: /\n"
    assert _allowed(body)
    assert not _allowed("User-agent: *\nDisallow: /private/\n")
    assert _allowed("User-agent: *\nDisallow: /private/\nAllow: /private/x\n")


@pytest.mark.parametrize("mark", ["\ufeff", "ï»¿"])
def test_a_byte_order_mark_does_not_hide_the_first_line(mark: str) -> None:
    assert not _allowed(f"{mark}User-agent: *\nDisallow: /\n")


def test_crawl_delay_is_honoured_up_to_its_cap() -> None:
    def delay(value: str) -> float:
        body = f"User-agent: *\nCrawl-delay: {value}\n"
        return permission("found", body, URL, "SedaBot").crawl_delay_seconds

    assert delay("3") == 3
    assert delay("9999") == CRAWL_DELAY_SECONDS_MAX
    assert delay("-1") == 0
    assert delay("never") == 0


def test_the_product_token_is_the_part_before_the_slash() -> None:
    assert product_token("SedaBot/1.0 (+https://seda.fm/bot)") == "SedaBot"


@pytest.mark.parametrize(
    "body",
    [
        "User-agent: *\nDisallow: /" + "a*" * 900 + "$\n",
        "User-agent: *\n" + "Disallow: /a*b*c*d*e$\n" * 20_000,
        "User-agent: *\n" * 30_000,
        "\x00" * 500_000,
        "Disallow: /" * 40_000,
    ],
)
def test_a_hostile_rule_book_is_read_in_bounded_time(body: str) -> None:
    started = time.process_time()
    permission("found", body, "https://tunes.example/" + "a" * 2_000, "SedaBot")
    assert time.process_time() - started < 5
