"""Addresses, names and passwords at their bounds."""

import unicodedata

import pytest
from auth_gateway.accounts.domain import (
    InvalidDisplayName,
    InvalidEmail,
    PasswordTooLong,
    WeakPassword,
    check_display_name,
    check_new_password,
    normal_email,
    password_bytes,
)

GOOD = "seven rooms of velvet"


def check(password: str, *, email: str = "nina@seda.example", name: str | None = None) -> None:
    check_new_password(password, email=email, display_name=name)


@pytest.mark.parametrize(
    "spelling",
    [
        "nina@seda.example",
        " nina@seda.example ",
        "NINA@Seda.Example",
        "\tnina@seda.example\n",
    ],
)
def test_attack_030_case_and_spaces_never_make_a_second_account(spelling: str) -> None:
    assert normal_email(spelling) == "nina@seda.example"


def test_attack_030_composed_and_decomposed_letters_are_one_address() -> None:
    composed = "zoë@seda.example"
    assert normal_email(composed) == normal_email(unicodedata.normalize("NFD", composed))


def test_attack_030_both_spellings_of_an_international_domain_are_one_address() -> None:
    assert normal_email("otto@bücher.example") == normal_email("otto@xn--bcher-kva.example")


def test_attack_032_dots_and_plus_signs_make_separate_accounts() -> None:
    spellings = {"ninasimone@x.example", "nina.simone@x.example", "ninasimone+a@x.example"}
    assert {normal_email(spelling) for spelling in spellings} == spellings


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nina",
        "nina@",
        "@seda.example",
        "nina@localhost",
        "nina@seda..example",
        "nina@-seda.example",
        ".nina@seda.example",
        "nina.@seda.example",
        "ni..na@seda.example",
        "ni na@seda.example",
        "nina@seda.example,otto@seda.example",
        "nina@seda.example\r\nBcc: otto@seda.example",
        "nina\r\n@seda.example",
        "ni\u200bna@seda.example",
        "ni\u202ena@seda.example",
        "ni\x00na@seda.example",
        '"nina"@seda.example',
        "nina@[127.0.0.1]",
        "nina@127.0.0.1",
        "nina@evil.example@seda.example",
        "n" * 65 + "@seda.example",
        "nina@" + "s" * 64 + ".example",
        "nina@" + "seda." * 60 + "example",
    ],
)
def test_attack_033_what_is_not_exactly_one_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidEmail):
        normal_email(text)


@pytest.mark.parametrize("length", [8, 128])
def test_attack_042_passwords_at_both_bounds_are_accepted(length: int) -> None:
    check((GOOD * 8)[:length])


def test_attack_042_seven_characters_are_too_few() -> None:
    with pytest.raises(WeakPassword):
        check("velvet7")


def test_attack_042_one_hundred_and_twenty_nine_characters_are_too_many() -> None:
    with pytest.raises(PasswordTooLong):
        check((GOOD * 8)[:129])


def test_attack_042_length_counts_characters_not_bytes() -> None:
    check("🎷🎺🎸🎻🥁🎹🎤🎧")


def test_attack_042_nothing_is_trimmed_and_nothing_is_cut() -> None:
    assert password_bytes(" velvet ") == b" velvet "
    long = "a" * 72
    assert password_bytes(long + "b") != password_bytes(long + "c")
    assert password_bytes("velvet\x00one") != password_bytes("velvet\x00two")


@pytest.mark.parametrize(
    "password", ["password", "Password1", "QWERTYUIOP", "12345678", "aaaaaaaa", "abababab"]
)
def test_attack_043_what_guessers_try_first_is_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        check(password)


@pytest.mark.parametrize(
    ("password", "email", "name"),
    [
        ("nina@seda.example", "nina@seda.example", None),
        ("NINA@SEDA.EXAMPLE", "nina@seda.example", None),
        ("ninasimone", "ninasimone@seda.example", None),
        ("Nina Simone", "n@seda.example", "nina simone"),
    ],
)
def test_attack_043_the_own_address_and_name_are_refused(
    password: str, email: str, name: str | None
) -> None:
    with pytest.raises(WeakPassword):
        check(password, email=email, name=name)


def test_a_display_name_is_trimmed_and_composed() -> None:
    assert check_display_name("  Zoe\u0308 ") == "Zoë"


@pytest.mark.parametrize("text", ["", "   ", "n" * 51, "ni\u200bna", "ni\nna", "\u202enina"])
def test_a_display_name_that_nobody_could_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidDisplayName):
        check_display_name(text)


def test_a_display_name_of_fifty_characters_is_accepted() -> None:
    assert len(check_display_name("n" * 50)) == 50
