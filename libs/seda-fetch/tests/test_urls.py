"""What the text of a URL alone decides.

hostile_urls.json is the list, so that other packages can run it through their own edges:
`refused` is [number in the design, URL, code], `accepted` is [number, URL, what is asked for],
`addresses` is [address, may it be dialled] on both sides of every border.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seda_fetch import FetchError, Refused, parse_url
from seda_fetch.addresses import vet

LIST = json.loads(Path(__file__).with_name("hostile_urls.json").read_bytes())


def _refusal(url: str) -> str:
    with pytest.raises(Refused) as refused:
        parse_url(url)
    return refused.value.code


@pytest.mark.parametrize(("number", "url", "code"), LIST["refused"])
def test_a_hostile_url_is_refused_with_its_code(number: int, url: str, code: str) -> None:
    assert _refusal(url) == code


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (f"http://{'a' * 64}.example/", "refused_host"),
        (f"http://{'.'.join(['a' * 59] * 5)}/", "refused_host"),
        (f"http://tunes.example/{'a' * 9_216}", "invalid_url"),
    ],
    ids=["label of 64", "name of 299", "URL of 9 KB"],
)
def test_an_oversized_url_is_refused(url: str, code: str) -> None:
    assert _refusal(url) == code


@pytest.mark.parametrize(("number", "url", "href"), LIST["accepted"])
def test_an_odd_url_means_what_a_browser_takes_it_for(number: int, url: str, href: str) -> None:
    assert parse_url(url).href == href


@pytest.mark.parametrize(("address", "dialable"), LIST["addresses"])
def test_an_address_is_on_the_right_side_of_every_border(address: str, dialable: bool) -> None:
    if dialable:
        assert vet(address)
    else:
        with pytest.raises(Refused):
            vet(address)


def test_the_parts_are_those_of_one_parse() -> None:
    target = parse_url("HTTPS://Tunes.Example/a%2Fb/ü?q=1&r=#top")
    assert (target.scheme, target.host, target.port) == ("https", "tunes.example", 443)
    assert (target.path, target.query) == ("/a%2Fb/%C3%BC", "q=1&r=")
    assert target.request_target == b"/a%2Fb/%C3%BC?q=1&r="
    assert target.authority == "tunes.example"


def test_a_relative_reference_is_joined_and_checked_again() -> None:
    base = parse_url("https://tunes.example/a/b?c")
    assert parse_url("../d?e", base=base).href == "https://tunes.example/d?e"
    for reference in ("//127.0.0.1/", "/\\127.0.0.1/", "file:///etc/passwd", "//u@tunes.example/"):
        with pytest.raises(Refused):
            parse_url(reference, base=base)


@given(st.text(max_size=200))
def test_any_text_is_either_refused_or_parses_to_itself(text: str) -> None:
    for candidate in (text, f"http://{text}", f"http://tunes.example/{text}"):
        try:
            target = parse_url(candidate)
        except FetchError:
            continue
        assert parse_url(target.href) == target
