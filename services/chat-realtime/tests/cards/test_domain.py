"""Links as people type them."""

import pytest
from chat_realtime.cards.domain import LINKS_MAX, find_links
from seda_contracts.events.unfurl import link_id


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("no link here", []),
        ("https://a.example/x", ["https://a.example/x"]),
        ("see https://a.example/x.", ["https://a.example/x"]),
        ("(https://a.example/x)", ["https://a.example/x"]),
        ("https://a.example/x_(live)", ["https://a.example/x_(live)"]),
        ("<https://a.example/x?y=1&z=2>", ["https://a.example/x?y=1&z=2"]),
        ("spotify:track:4uLU6hMCjMI75M1A2tKUQC", ["spotify:track:4uLU6hMCjMI75M1A2tKUQC"]),
        ("HTTPS://A.example/X", ["HTTPS://A.example/X"]),
        ("https://a.example and https://a.example", ["https://a.example"]),
        ("ftp://a.example javascript:alert(1) data:text/html,x", []),
        ("https:// http://[bad", []),
        ("https://a.example/" + "x" * 3000, []),
        ("»https://a.example/ü«", ["https://a.example/ü"]),
    ],
)
def test_links_are_found_as_typed(text: str, urls: list[str]) -> None:
    assert [link.url for link in find_links(text)] == urls


def test_only_the_first_few_links_count() -> None:
    text = " ".join(f"https://a.example/{n}" for n in range(LINKS_MAX + 3))
    assert [link.url[-1] for link in find_links(text)] == ["0", "1", "2", "3", "4"]


def test_the_id_is_the_one_every_service_derives() -> None:
    (link,) = find_links("https://a.example/x")
    assert link.link_id == link_id("https://a.example/x")


@pytest.mark.parametrize(
    "text", ["https://" * 500, "https://a." + ")" * 3900, "spotify:" * 500, "h" * 4000]
)
def test_hostile_text_is_read_in_one_pass(text: str) -> None:
    """A pattern that goes back over such text would not come to an end."""
    assert len(find_links(text)) <= LINKS_MAX
