"""The whole way: names, sockets, redirects and bodies, against a server that means harm.

Numbers in test ids are those of the list in the design.
"""

import asyncio
import ssl
import time
import tracemalloc
from typing import Any

import pytest
import trustme
from seda_fetch import (
    DeadlineExceeded,
    Fetcher,
    FetchError,
    FetchLimits,
    OverrideForbidden,
    Refused,
    TooLarge,
    TooManyRedirects,
    check_override_allowed,
    parse_url,
)
from seda_testkit.eventually import eventually

AT = "http://hostile.example"
PUBLIC_ADDRESS = "93.184.216.34"


async def _failure(fetcher: Fetcher, url: str, **options: Any) -> FetchError:
    with pytest.raises(FetchError) as failed:
        await fetcher.get(url, **options)
    return failed.value


async def test_a_page_arrives_with_everything_a_caller_may_ask(fetcher: Fetcher) -> None:
    fetched = await fetcher.get(f"{AT}/plain#fragment")
    assert (fetched.status_code, fetched.body, fetched.text()) == (200, b"hello", "hello")
    assert fetched.url == fetched.final_url == f"{AT}/plain"
    assert fetched.headers["content-type"] == "text/html; charset=utf-8"
    assert fetched.dialled_address == PUBLIC_ADDRESS
    assert fetched.redirect_urls == ()
    assert not fetched.truncated


async def test_the_request_carries_our_name_and_offers_only_what_we_can_bound(
    fetcher: Fetcher, hostile: Any
) -> None:
    await fetcher.get(parse_url(f"{AT}/a%2Fb?q=%20"), accept="text/html", headers={"x-a": "b"})
    head = hostile.heads[0].lower()
    assert head.startswith("get /a%2fb?q=%20 http/1.1\r\n")
    for line in (
        "host: hostile.example",
        "user-agent: sedabot/1.0",
        "accept: text/html",
        "accept-encoding: gzip, deflate",
        "x-a: b",
    ):
        assert f"\r\n{line}\r\n" in head


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(["10.0.0.7"], id="55 private A"),
        pytest.param([PUBLIC_ADDRESS, "127.0.0.1"], id="56 public and private"),
        pytest.param(["127.0.0.1", PUBLIC_ADDRESS], id="56 private and public"),
        pytest.param(["::ffff:127.0.0.1"], id="57 mapped AAAA"),
        pytest.param(["127.0.0.1"], id="58 alias of localhost"),
        pytest.param(["fe80::1%eth0"], id="zone"),
        pytest.param(["nonsense"], id="not an address"),
    ],
)
async def test_a_name_with_one_bad_address_is_not_dialled(
    fetcher: Fetcher, names: Any, dialled: Any, addresses: list[str]
) -> None:
    names.answers["bait.example"] = [addresses]
    error = await _failure(fetcher, "http://bait.example/")
    assert isinstance(error, Refused)
    assert error.code == "refused_address"
    assert dialled.addresses == []


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param([], id="59 alias loop, no answer"),
        pytest.param([f"93.184.{n}.1" for n in range(200)] * 2, id="63 four hundred records"),
    ],
)
async def test_a_name_without_a_usable_answer_fails_as_dns(
    fetcher: Fetcher, names: Any, addresses: list[str]
) -> None:
    names.answers["odd.example"] = [addresses]
    assert (await _failure(fetcher, "http://odd.example/")).code == "dns_failed"
    assert (await _failure(fetcher, "http://unknown.example/")).code == "dns_failed"


async def test_60_a_rebinding_name_is_looked_up_once_and_dialled_where_it_was_vetted(
    fetcher: Fetcher, names: Any, dialled: Any
) -> None:
    names.answers["rebind.example"] = [[PUBLIC_ADDRESS], ["127.0.0.1"]]
    fetched = await fetcher.get("http://rebind.example/plain")
    assert fetched.status_code == 200
    assert names.questions == ["rebind.example"]
    assert dialled.addresses == [PUBLIC_ADDRESS]


async def test_61_a_name_that_moved_inside_is_refused_on_the_next_request(
    fetcher: Fetcher, names: Any, dialled: Any
) -> None:
    names.answers["rebind.example"] = [[PUBLIC_ADDRESS], ["127.0.0.1"]]
    await fetcher.get("http://rebind.example/plain")
    assert (await _failure(fetcher, "http://rebind.example/plain")).code == "refused_address"
    assert dialled.addresses == [PUBLIC_ADDRESS]


async def test_with_the_real_dialler_a_listener_on_loopback_sees_nothing(hostile: Any) -> None:
    async def inside(host: str) -> list[str]:
        return ["127.0.0.1"]

    limits = FetchLimits(ports=frozenset({80, hostile.port}))
    async with Fetcher("SedaBot/1.0", limits, resolve=inside) as fetcher:
        for host in ("inside.example", "127.0.0.1", "127.1", "[::ffff:127.0.0.1]", "localhost"):
            error = await _failure(fetcher, f"http://{host}:{hostile.port}/plain")
            assert error.code in {"refused_address", "refused_host"}
    assert hostile.heads == []


async def test_62_a_slow_name_counts_against_the_deadline() -> None:
    async def never(host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with Fetcher("SedaBot/1.0", resolve=never) as fetcher:
        error = await _failure(fetcher, f"{AT}/plain", deadline_seconds=0.05)
    assert isinstance(error, DeadlineExceeded)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
async def test_64_a_proxy_in_the_environment_is_ignored(
    monkeypatch: pytest.MonkeyPatch, names: Any, dialled: Any, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9/")
    async with Fetcher("SedaBot/1.0", resolve=names, dial=dialled) as fetcher:
        assert (await fetcher.get(f"{AT}/plain")).status_code == 200
    assert dialled.addresses == [PUBLIC_ADDRESS]


async def test_a_dead_address_is_passed_over_for_the_next(
    fetcher: Fetcher, names: Any, dialled: Any
) -> None:
    names.answers["two.example"] = [["2606:4700::1111", "93.184.216.35", "93.184.216.36"]]
    dialled.dead = frozenset({"93.184.216.35"})
    fetched = await fetcher.get("http://two.example/plain")
    assert dialled.addresses == ["93.184.216.35", "93.184.216.36"]
    assert fetched.dialled_address == "93.184.216.36"


async def test_no_living_address_fails_as_connect(fetcher: Fetcher, dialled: Any) -> None:
    dialled.dead = frozenset({PUBLIC_ADDRESS})
    assert (await _failure(fetcher, f"{AT}/plain")).code == "connect_failed"


# --- redirects -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("/to-private", "refused_address", id="65"),
        pytest.param("/to-metadata", "refused_address", id="66"),
        pytest.param("/to-scheme-relative", "refused_address", id="67"),
        pytest.param("/to-backslash", "refused_address", id="68"),
        pytest.param("/to-file", "refused_scheme", id="69"),
        pytest.param("/to-port", "refused_port", id="port"),
        pytest.param("/to-userinfo", "refused_userinfo", id="userinfo"),
        pytest.param("/to-private-name", "refused_address", id="name inside"),
        pytest.param("/hop1", "refused_address", id="70 fifth hop"),
        pytest.param("/loop", "too_many_redirects", id="71"),
        pytest.param("/to-two-places", "bad_response", id="74"),
        pytest.param("/to-a-megabyte", "bad_response", id="75"),
    ],
)
async def test_a_redirect_is_guarded_like_a_first_request(
    fetcher: Fetcher, names: Any, dialled: Any, path: str, code: str
) -> None:
    names.answers["moved-inside.example"] = [["192.168.1.1"]]
    error = await _failure(fetcher, f"{AT}{path}")
    assert error.code == code
    assert set(dialled.addresses) == {PUBLIC_ADDRESS}


async def test_72_five_redirects_are_followed_and_the_sixth_is_not(
    fetcher: Fetcher, names: Any, dialled: Any
) -> None:
    fetched = await fetcher.get(f"{AT}/chain1")
    assert fetched.final_url == f"{AT}/plain"
    assert fetched.redirect_urls[:2] == (f"{AT}/chain2", f"{AT}/chain3")
    assert len(fetched.redirect_urls) == 5
    assert len(names.questions) == 6
    limits = FetchLimits(redirects_max=4)
    async with Fetcher("SedaBot/1.0", limits, resolve=names, dial=dialled) as shorter:
        error = await _failure(shorter, f"{AT}/chain1")
    assert isinstance(error, TooManyRedirects)
    assert error.failed_url == f"{AT}/chain5"
    assert len(error.redirect_urls) == 4


async def test_73_a_redirect_without_a_place_is_an_answer(fetcher: Fetcher) -> None:
    assert (await fetcher.get(f"{AT}/to-nowhere")).status_code == 302


async def test_76_a_meta_refresh_is_not_followed(fetcher: Fetcher, hostile: Any) -> None:
    fetched = await fetcher.get(f"{AT}/meta-refresh")
    assert fetched.redirect_urls == ()
    assert len(hostile.heads) == 1


async def test_a_relative_place_is_joined(fetcher: Fetcher) -> None:
    assert (await fetcher.get(f"{AT}/relative?y=2")).final_url == f"{AT}/plain?x=1"


async def test_the_callers_headers_stay_at_the_first_origin(fetcher: Fetcher, hostile: Any) -> None:
    await fetcher.get(f"{AT}/elsewhere", headers={"if-none-match": '"1"'})
    assert "if-none-match" in hostile.heads[0].lower()
    assert "if-none-match" not in hostile.heads[1].lower()


async def test_a_cookie_is_never_sent_back(fetcher: Fetcher, hostile: Any) -> None:
    await fetcher.get(f"{AT}/set-cookie")
    await fetcher.get(f"{AT}/plain")
    assert not any("\r\ncookie:" in head.lower() for head in hostile.heads)


# --- bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/gzip", "/deflate", "/raw-deflate", "/length-too-short"])
async def test_an_offered_encoding_is_undone(fetcher: Fetcher, path: str) -> None:
    assert (await fetcher.get(f"{AT}{path}")).body == b"hello"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("/gzip-bomb", "too_large", id="80"),
        pytest.param("/double-gzip", "bad_response", id="81"),
        pytest.param("/brotli", "bad_response", id="82"),
        pytest.param("/broken-gzip", "bad_response", id="broken gzip"),
        pytest.param("/half-gzip", "bad_response", id="half gzip"),
        pytest.param("/length-too-long", "bad_response", id="83 longer than sent"),
        pytest.param("/length-twice", "bad_response", id="two lengths"),
        pytest.param("/endless-chunks", "too_large", id="84"),
        pytest.param("/endless-body", "too_large", id="endless body"),
        pytest.param("/tiny-chunks", "too_large", id="one-byte chunks"),
        pytest.param("/chunk-extensions", "too_large", id="chunk extensions"),
        pytest.param("/interim", "too_large", id="interim answers"),
        pytest.param("/endless-headers", "bad_response", id="88 endless"),
        pytest.param("/many-headers", "too_large", id="88 many"),
        pytest.param("/length-and-chunked", "bad_response", id="89"),
        pytest.param("/hang-up", "bad_response", id="hang up"),
        pytest.param("/not-http", "bad_response", id="not HTTP"),
    ],
)
async def test_a_hostile_answer_ends_with_its_code(fetcher: Fetcher, path: str, code: str) -> None:
    assert (await _failure(fetcher, f"{AT}{path}")).code == code


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/drip-body", id="85"),
        pytest.param("/drip-headers", id="86"),
        pytest.param("/silent", id="87"),
    ],
)
async def test_the_deadline_is_absolute(fetcher: Fetcher, path: str) -> None:
    started = time.monotonic()
    error = await _failure(fetcher, f"{AT}{path}", deadline_seconds=0.2)
    assert error.code == "deadline_exceeded"
    assert time.monotonic() - started < 2


async def test_80_a_bomb_is_met_in_steps_and_never_held_whole(fetcher: Fetcher) -> None:
    tracemalloc.start()
    with pytest.raises(TooLarge):
        await fetcher.get(f"{AT}/gzip-bomb")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 3 << 20


async def test_truncate_keeps_what_fits(fetcher: Fetcher) -> None:
    for path in ("/gzip-bomb", "/endless-body"):
        fetched = await fetcher.get(f"{AT}{path}", truncate=True)
        assert fetched.truncated
        assert len(fetched.body) <= 512 * 1024
        assert len(fetched.body) > 400 * 1024


async def test_stop_after_ends_the_reading(fetcher: Fetcher) -> None:
    fetched = await fetcher.get(f"{AT}/endless-body", stop_after=lambda body: len(body) > 10_000)
    assert fetched.truncated
    assert len(fetched.body) < 40_000


async def test_one_byte_chunks_do_not_hold_the_event_loop(fetcher: Fetcher) -> None:
    longest_seconds = 0.0

    async def watch() -> None:
        nonlocal longest_seconds
        while True:
            before = (
                time.process_time()
            )  # what others take of the machine is not ours to answer for
            await asyncio.sleep(0)
            longest_seconds = max(longest_seconds, time.process_time() - before)

    watching = asyncio.create_task(watch())
    await _failure(fetcher, f"{AT}/tiny-chunks")
    watching.cancel()
    assert longest_seconds < 0.25


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/missing", 404, id="404"),
        pytest.param("/limited", 429, id="91 and 92"),
        pytest.param("/wrong-type", 200, id="93"),
        pytest.param("/no-type", 200, id="94"),
        pytest.param("/replace", 200, id="95"),
    ],
)
async def test_an_answer_is_returned_whatever_it_is(
    fetcher: Fetcher, path: str, status: int
) -> None:
    assert (await fetcher.get(f"{AT}{path}")).status_code == status


async def test_one_fetcher_serves_many_at_once_and_leaves_nothing_open(
    fetcher: Fetcher, hostile: Any
) -> None:
    paths = ["/plain", "/gzip", "/endless-body", "/to-private", "/chain1"] * 8
    await asyncio.gather(*(fetcher.get(f"{AT}{p}") for p in paths), return_exceptions=True)
    await eventually(lambda: hostile.open_connections == 0)


# --- TLS and the override ------------------------------------------------------------------------


async def _tls_answer(certificate_host: str, asked_host: str) -> int:
    """Status when a server certified for one name is asked for by another."""
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certificate_host).configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    override = {asked_host: f"127.0.0.1:{port}"}
    async with server, Fetcher("SedaBot/1.0", None, override, client_context) as fetcher:
        return (await fetcher.get(f"https://{asked_host}/")).status_code


async def test_a_certificate_for_the_name_is_accepted() -> None:
    assert await _tls_answer("tunes.example", "tunes.example") == 204


async def test_90_a_certificate_for_another_name_is_refused() -> None:
    with pytest.raises(FetchError) as failed:
        await _tls_answer("other.example", "tunes.example")
    assert failed.value.code == "tls_failed"


async def test_a_handshake_that_never_ends_is_cut_and_its_socket_closed() -> None:
    hung_up = asyncio.Event()

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_024):
            pass
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    override = {"tunes.example": f"127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    async with server, Fetcher("SedaBot/1.0", None, override) as fetcher:
        error = await _failure(fetcher, "https://tunes.example/", deadline_seconds=0.1)
        assert error.code == "deadline_exceeded"
        async with asyncio.timeout(5):
            await hung_up.wait()


async def test_an_override_exempts_its_host_and_nothing_else(hostile: Any, names: Any) -> None:
    override = {"hostile.example": f"127.0.0.1:{hostile.port}"}
    names.answers["moved-inside.example"] = [["127.0.0.1"]]
    async with Fetcher("SedaBot/1.0", None, override, resolve=names) as fetcher:
        fetched = await fetcher.get(f"{AT}/plain")
        assert (fetched.status_code, fetched.dialled_address) == (200, "127.0.0.1")
        for path in ("/to-private", "/to-private-name", "/to-scheme-relative"):
            assert (await _failure(fetcher, f"{AT}{path}")).code == "refused_address"


def test_an_override_is_forbidden_where_people_are() -> None:
    for env in ("qa", "sandbox", "production"):
        check_override_allowed(env, None)
        with pytest.raises(OverrideForbidden):
            check_override_allowed(env, {"a.example": "127.0.0.1:1"})
    for env in ("development", "test"):
        check_override_allowed(env, {"a.example": "127.0.0.1:1"})


def test_a_malformed_override_is_named() -> None:
    with pytest.raises(ValueError, match=r"a\.example"):
        Fetcher("SedaBot/1.0", None, {"a.example": "127.0.0.1"})
