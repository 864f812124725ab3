"""What must hold of the service as a whole."""

import asyncio

import pytest
import track_unfurl.links.domain as links_domain
import track_unfurl.tracks.domain as tracks_domain
from seda_db import Database
from seda_fetch import OverrideForbidden
from seda_testkit.databases import ServiceDatabase
from seda_testkit.problems import errors_of
from seda_testkit.schema import assert_migrations_are_sound
from sqlalchemy import text
from track_unfurl.app import create_app
from track_unfurl.problems import PROBLEMS
from track_unfurl.settings import Settings
from track_unfurl.tables import Table


def test_every_domain_error_is_a_problem() -> None:
    errors = errors_of(links_domain, tracks_domain)
    assert errors
    assert errors <= PROBLEMS.keys()


async def test_the_indexes_people_were_promised_exist_by_name(db: Database) -> None:
    async with db.read() as tx:
        query = text("SELECT indexname FROM pg_indexes WHERE schemaname = 'unfurl'")
        names = set((await tx.execute(query)).scalars())
    assert {
        "uq_track_ref_url",
        "uq_track_ref_provider_provider_id",
        "ix_track_ref_provider",
    } <= names


async def test_migrations_give_the_tables_in_code_and_can_go_back(
    migrated: ServiceDatabase,
) -> None:
    await assert_migrations_are_sound("track_unfurl", migrated, Table.metadata)


async def test_an_override_of_names_stops_the_start_in_production(settings: Settings) -> None:
    await asyncio.sleep(0)
    produced = {name: getattr(settings, name) for name in settings.__struct_fields__}
    with pytest.raises(OverrideForbidden):
        create_app(Settings(**{**produced, "env": "production"}))
