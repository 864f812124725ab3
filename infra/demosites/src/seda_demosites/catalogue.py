"""The invented catalogue. Numbers follow from the position, so every start shows the same music."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Artist:
    slug: str
    name: str
    about: str


@dataclass(frozen=True, slots=True)
class Track:
    id: int
    title: str
    artist: Artist
    duration_seconds: int
    isrc: str


ARTISTS = (
    Artist("velvet-harbour", "Velvet Harbour", "Slow pop from a town with one lighthouse."),
    Artist("nina-ostrova", "Nina Ostrova", "Piano, tape and the sound of trams."),
    Artist("the-paper-kites-club", "Kite Paper Club", "Four friends and a borrowed drum kit."),
    Artist("dub-cartographer", "Dub Cartographer", "Maps drawn in delay and bass."),
    Artist("oslo-after-nine", "Oslo After Nine", "Night music for people who walk home."),
    Artist("mira-and-the-tide", "Mira & the Tide", "Songs <3 the sea."),
)
_TITLES = (
    "Lanterns Over Water",
    "Quiet Engine",
    "Half a Map",
    "Salt & Static",
    "Borrowed Light",
    "Seven Winters",
    "The Long Platform",
    "Glass Orchard",
    "Night Tram No. 4",
    "Copper Sky",
    "Small Hours",
    "Echo Cartography",
)
TRACKS = tuple(
    Track(
        id=number,
        title=title,
        artist=ARTISTS[(number - 1) % len(ARTISTS)],
        duration_seconds=151 + 17 * number,
        isrc=f"ZZSED26{number:05d}",
    )
    for number, title in enumerate(_TITLES, start=1)
)
TRACK_BY_ID = {str(track.id): track for track in TRACKS}
_ARTIST_BY_SLUG = {artist.slug: artist for artist in ARTISTS}


def artist_at(slug: str) -> Artist | None:
    """Whose page it is. After a `~` anything may stand: a page proves one profile, once, and who
    tries the same thing again needs another.
    """
    return _ARTIST_BY_SLUG.get(slug.partition("~")[0])


def cover_svg(track: Track) -> str:
    """A square cover drawn from the number alone."""
    hue = track.id * 47 % 360
    radius = 60 + track.id * 23 % 90
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" width="640" height="640">'
        f'<rect width="400" height="400" fill="hsl({hue} 45% 22%)"/>'
        f'<circle cx="200" cy="200" r="{radius}" fill="hsl({(hue + 40) % 360} 70% 62%)"/>'
        f'<path d="M0 {300 - track.id * 7} Q200 {180 + track.id * 9} 400 300 V400 H0Z" '
        f'fill="hsl({(hue + 180) % 360} 50% 40%)"/></svg>'
    )
