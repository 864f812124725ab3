"""Where a claim code stands, on honest pages and on pages made to hurt."""

import time

import pytest
from crawler.claim_codes import MARKS_MAX, Mark, find_claim_codes
from hypothesis import given, settings
from hypothesis import strategies as st

CODE = "seda-2345-CFGH"
PAGE_CHARACTERS = 512 * 1024


@pytest.mark.parametrize(
    ("page", "place"),
    [
        pytest.param(f"<p>{CODE}</p>", "visible_text", id="paragraph"),
        pytest.param(CODE, "visible_text", id="no markup"),
        pytest.param(f"1 < 2 {CODE}", "visible_text", id="stray less-than"),
        pytest.param(f"<title>{CODE}</title>", "visible_text", id="title"),
        pytest.param(f"<p hidden>x</p>{CODE}", "visible_text", id="behind hidden"),
        pytest.param(f"<script>a<b</script>{CODE}", "visible_text", id="behind script"),
        pytest.param(f"<!-- > -->{CODE}", "visible_text", id="behind comment"),
        pytest.param(f"<!-->{CODE}", "visible_text", id="behind empty comment"),
        pytest.param(f"<img hidden>{CODE}", "visible_text", id="void elements hide nothing"),
        pytest.param("<b>SEDA&#45;2345&#x2D;cfgh</b>", "visible_text", id="written hyphens"),
        pytest.param(f'<meta name="seda" content="{CODE}">', "meta_tag", id="meta"),
        pytest.param(f"<META CONTENT={CODE} NAME=a/>", "meta_tag", id="shouted meta"),
        pytest.param(f'<a rel="me" href="https://seda.fm/v/{CODE}">x</a>', "link", id="anchor"),
        pytest.param(f"<link rel=me href='https://seda.fm/v/{CODE}'>", "link", id="link"),
        pytest.param(f"<!-- {CODE} -->", "hidden", id="comment"),
        pytest.param(f"<!-- {CODE}", "hidden", id="comment that never ends"),
        pytest.param(f"<! {CODE}>", "hidden", id="bogus comment"),
        pytest.param(f"<? {CODE}>", "hidden", id="instruction"),
        pytest.param(f"<script>'{CODE}'</script>", "hidden", id="script"),
        pytest.param(f"<script>'{CODE}'", "hidden", id="script that never ends"),
        pytest.param(f"<style>{CODE}</style >", "hidden", id="style"),
        pytest.param(f"<template><p>{CODE}</p></template>", "hidden", id="template"),
        pytest.param(f"<noscript>{CODE}</noscript>", "hidden", id="noscript"),
        pytest.param(f"<b data-x='{CODE}'>", "hidden", id="attribute"),
        pytest.param(f"<b data-x='{CODE}", "hidden", id="attribute that never ends"),
        pytest.param(f"<img src=x alt='{CODE}'>", "hidden", id="alt"),
        pytest.param(f'<i style="color:red;display: none">{CODE}</i>', "hidden", id="no display"),
        pytest.param(f"<div hidden><div></div>{CODE}</div>", "hidden", id="nested"),
        pytest.param(f"<div hidden><a href='{CODE}'></a></div>", "hidden", id="hidden link"),
        pytest.param(f"<template><meta content={CODE}></template>", "hidden", id="hidden meta"),
        pytest.param(
            f"<section class=comments>{CODE}</section>", "visitor_text", id="comment section"
        ),
        pytest.param(
            f'<ol class="list commentlist"><li><div></div>{CODE}', "visitor_text", id="comment list"
        ),
        pytest.param(f'<div id="disqus_thread">{CODE}</div>', "visitor_text", id="disqus"),
        pytest.param(
            f'<div itemtype="https://schema.org/Comment">{CODE}</div>',
            "visitor_text",
            id="marked up",
        ),
        pytest.param(
            f'<div class=comments><a href="http://x.example/{CODE}">me</a></div>',
            "visitor_text",
            id="link in a comment",
        ),
        pytest.param(
            f"<div class=comments><div></div></div><p>{CODE}", "visible_text", id="behind comments"
        ),
        pytest.param(f'<p class="commented uncommented">{CODE}', "visible_text", id="other words"),
        pytest.param(
            f'<body class="comments-open"><p>{CODE}', "visible_text", id="theme marks the body"
        ),
    ],
)
def test_a_code_is_reported_with_its_place(page: str, place: str) -> None:
    assert find_claim_codes(page) == (Mark(CODE, place),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "seda-2345-678",
        "seda-2345-67899",
        "xseda-2345-6789",
        "seda-ABCD-EFGH",
        "seda 2345 6789",
        "DOWNLOAD",
        "",
    ],
)
def test_what_is_no_code_is_not_reported(text: str) -> None:
    assert find_claim_codes(text) == ()


def test_longer_codes_are_reported_whole() -> None:
    marks = find_claim_codes("<p>seda-2345-cfgh-jmpq-rvwx</p>")
    assert marks == (Mark("seda-2345-CFGH-JMPQ-RVWX", "visible_text"),)


def test_one_code_in_two_places_is_two_marks() -> None:
    marks = find_claim_codes(f"<!--{CODE}--><p>{CODE}</p><p>{CODE}</p>")
    assert marks == (Mark(CODE, "hidden"), Mark(CODE, "visible_text"))


def test_plain_text_has_no_hidden_places() -> None:
    assert find_claim_codes(f"<!--{CODE}-->", is_html=False) == (Mark(CODE, "visible_text"),)


def test_a_page_full_of_codes_is_cut() -> None:
    alphabet = "CFGHJMPQRVWX"
    page = " ".join(f"seda-22{a}{b}-2222" for a in alphabet for b in alphabet)
    assert len(find_claim_codes(page)) == MARKS_MAX


HOSTILE_PIECES = [
    "<div>", "<font>", "<", "<!", "<?", "</", "</a", "<!--", "<!---->", "<![CDATA[", "<!DOCTYPE ",
    "<script>", "<title>", "<title></title>", "<style></", "&", "&#45", "<p hidden>", "<a b='",
    "<a b=\"'", "<a b=\"c='", "<a =", "<a a", "<a/", "<a   ", "<aaaaaaaaaaaaaaaa", "seda-",
    "seda-2345-6789 ", "<seda-", "<a href=seda ", "<b hidden></b>", "<template>",
]  # fmt: skip
HOSTILE_TAILS = [" a", "a=", "=", "/", " ", '"', "'", "<", "-", "x" * 50, " a=b", " a='b'", "\x00"]


def _seconds(page: str) -> float:
    started = time.process_time()
    find_claim_codes(page)
    return time.process_time() - started


@pytest.mark.parametrize("piece", HOSTILE_PIECES)
def test_a_piece_repeated_over_the_whole_page_is_quick(piece: str) -> None:
    page = "seda" + (piece * (PAGE_CHARACTERS // len(piece)))[:PAGE_CHARACTERS]
    assert _seconds(page) < 2


@pytest.mark.parametrize("opening", ["<a", "<a b", "<a b=", "<a b='", "<!--", "<script>", "<"])
def test_a_tail_that_never_ends_is_quick(opening: str) -> None:
    for tail in HOSTILE_TAILS:
        assert _seconds("seda" + opening + tail * (PAGE_CHARACTERS // len(tail))) < 2, tail


@settings(max_examples=200)
@given(st.text(alphabet="<>!-/\"'= \nabtpsedx&#4;", max_size=400))
def test_any_text_is_scanned_without_error(text: str) -> None:
    find_claim_codes(f"{text}seda-2345-6789{text}")


@given(
    st.lists(st.sampled_from(["<p>", "</p>", "<b class='x'>", "</b>", "text ", "<br>", "&amp;"]))
)
def test_harmless_markup_never_hides_a_code(pieces: list[str]) -> None:
    page = "".join(pieces) + f" {CODE} " + "".join(pieces)
    assert find_claim_codes(page) == (Mark(CODE, "visible_text"),)
