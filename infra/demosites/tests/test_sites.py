"""The invented sites answer like the real kinds they stand for."""

import asyncio
import json
import sys
from pathlib import Path

import httpx
import pytest
from seda_demosites import HOSTS, resolver_override, server
from seda_demosites.catalogue import TRACKS
from seda_demosites.sites import Request, Words, answer


def get(host: str, target: str, words: Words | None = None) -> tuple[int, str]:
    response = answer(Request("GET", host, target), words or Words())
    return response.status, response.body


def put(host: str, target: str, body: str, words: Words) -> int:
    return answer(Request("PUT", host, target, body), words).status


def test_a_track_page_carries_open_graph_and_json_ld() -> None:
    track = TRACKS[3]
    status, page = get("tunes.example", f"/track/{track.id}")
    assert status == 200
    assert '<meta property="og:title" content="Salt &amp; Static">' in page
    recording = json.loads(page.split('application/ld+json">')[1].split("</script>")[0])
    assert recording["@type"] == "MusicRecording"
    assert recording["byArtist"]["name"] == track.artist.name
    assert recording["isrcCode"] == track.isrc


def test_oembed_knows_its_own_tracks_only() -> None:
    status, body = get("tunes.example", "/oembed?url=http%3A%2F%2Ftunes.example%2Ftrack%2F2")
    assert status == 200
    assert json.loads(body)["title"] == "Quiet Engine"
    assert get("tunes.example", "/oembed?url=http://other.example/track/2")[0] == 404


@pytest.mark.parametrize("target", ["/track/999", "/nowhere", "/cover/999.svg"])
def test_an_unknown_page_is_a_404(target: str) -> None:
    assert get("tunes.example", target)[0] == 404


def test_the_challenge_page_is_a_200_that_says_nothing_about_music() -> None:
    status, page = get("tunes.example", "/track/challenge")
    assert status == 200
    assert "Client Challenge" in page
    assert "og:title" not in page


def test_every_cover_is_an_svg() -> None:
    covers = {get("tunes.example", f"/cover/{track.id}.svg")[1] for track in TRACKS}
    assert len(covers) == len(TRACKS)
    assert all(cover.startswith("<svg") for cover in covers)


def test_an_artist_edits_the_about_text_and_it_is_escaped() -> None:
    words = Words()
    assert put("artists.example", "/nina-ostrova/about", "seda-ABCD-EFGH <b>", words) == 204
    page = get("artists.example", "/nina-ostrova", words)[1]
    assert "seda-ABCD-EFGH &lt;b&gt;" in page.split('class="comments"')[0]


def test_a_comment_lands_in_the_comment_section_only() -> None:
    words = Words()
    assert put("artists.example", "/nina-ostrova/comments", "seda-EVIL-CODE", words) == 204
    before, after = get("artists.example", "/nina-ostrova", words)[1].split('class="comments"')
    assert "seda-EVIL-CODE" not in before
    assert "seda-EVIL-CODE" in after


def test_an_unknown_host_is_misdirected() -> None:
    assert get("evil.example", "/track/1")[0] == 421


def test_the_override_names_every_host() -> None:
    assert set(resolver_override(4000)) == set(HOSTS)
    assert resolver_override(4000)["tunes.example"] == "127.0.0.1:4000"


async def test_edits_survive_a_restart_when_a_state_file_is_given(tmp_path: Path) -> None:
    state = tmp_path / "words.json"
    first = await server.start(0, state)
    async with first, httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{first.sockets[0].getsockname()[1]}/velvet-harbour"
        host = {"Host": "artists.example"}
        await client.put(f"{url}/about", content="kept words", headers=host)
    second = await server.start(0, state)
    async with second, httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{second.sockets[0].getsockname()[1]}/velvet-harbour"
        assert "kept words" in (await client.get(url, headers=host)).text


async def test_the_command_prints_its_port_first_and_stops_on_sigterm() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "seda_demosites", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = json.loads(await asyncio.wait_for(process.stdout.readline(), 10))
    async with httpx.AsyncClient(trust_env=False) as client:
        page = await client.get(
            f"http://127.0.0.1:{said['port']}/track/1", headers={"Host": "tunes.example"}
        )
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert "Lanterns Over Water" in page.text
