"""One small file per catalogue. A new provider is a file and a row here."""

from track_unfurl.links.providers import (
    amazon_music,
    apple_music,
    audiomack,
    bandcamp,
    beatport,
    deezer,
    mixcloud,
    soundcloud,
    spotify,
    tidal,
    youtube,
)

PROVIDERS = (
    spotify.PROVIDER,
    youtube.PROVIDER,
    apple_music.PROVIDER,
    soundcloud.PROVIDER,
    bandcamp.PROVIDER,
    deezer.PROVIDER,
    tidal.PROVIDER,
    audiomack.PROVIDER,
    mixcloud.PROVIDER,
    amazon_music.PROVIDER,
    beatport.PROVIDER,
)
