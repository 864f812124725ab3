"""The outbox in days: one partition per UTC day, made ahead, dropped whole once nobody needs it.

The service's role may write rows and nothing else, so partitions are made and dropped by one
function in the database that runs with its owner's rights and can do only that.
"""

from datetime import datetime

import msgspec
from sqlalchemy import Connection, DateTime, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

# Part of a released migration: a change is a new text under a new name, never an edit.
#
# No lock of this function can hold up a writer for longer than its `lock_timeout`: a new partition
# is filled and attached beside them, and the drop, which has to lock the whole table, gives up and
# leaves the rest to the next hour.
CREATE_ROLL_OUTBOX = """
CREATE FUNCTION {schema}.roll_outbox(moment timestamptz DEFAULT now())
RETURNS TABLE (partition text, outcome text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
SET timezone = 'UTC'
AS $roll$
DECLARE
  kept CONSTANT interval := '72 hours';
  days_ahead CONSTANT integer := 3;
  is_waiting CONSTANT text := 'SELECT EXISTS (SELECT FROM {schema}.%I WHERE published_at IS NULL)';
  day date;
  held boolean;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('{schema}.roll_outbox')) THEN
    RETURN;
  END IF;

  FOR partition, day IN
    SELECT c.relname, to_date(right(c.relname, 8), 'YYYYMMDD')
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = '{schema}.outbox'::regclass AND c.relname ~ '^outbox_[0-9]{{8}}$'
    ORDER BY c.relname
  LOOP
    CONTINUE WHEN moment < (day + 1)::timestamptz + kept;
    outcome := 'dropped';
    EXECUTE format(is_waiting, partition) INTO held;
    IF held THEN
      outcome := 'unpublished';
    ELSE
      -- Rows that waited for days are kept as long as the others, from when they left.
      EXECUTE format('SELECT EXISTS (SELECT FROM {schema}.%I WHERE published_at > $1)', partition)
        INTO held USING moment - kept;
      CONTINUE WHEN held;
      BEGIN
        LOCK TABLE ONLY {schema}.outbox IN ACCESS EXCLUSIVE MODE;
        -- A replay may have come between.
        EXECUTE format(is_waiting, partition) INTO held;
        CONTINUE WHEN held;
        EXECUTE format('DROP TABLE {schema}.%I', partition);
      EXCEPTION WHEN lock_not_available THEN
        outcome := 'busy';
      END;
    END IF;
    RETURN NEXT;
  END LOOP;

  -- The default partition is empty unless nobody rolled for days; what it caught goes to its day.
  FOR day IN
    SELECT (moment AT TIME ZONE 'UTC')::date + ahead FROM generate_series(0, days_ahead) AS ahead
    UNION SELECT (created_at AT TIME ZONE 'UTC')::date FROM {schema}.outbox_default
    ORDER BY 1
  LOOP
    partition := 'outbox_' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass(format('{schema}.%I', partition)) IS NOT NULL;
    outcome := 'created';
    BEGIN
      LOCK TABLE ONLY {schema}.outbox IN SHARE UPDATE EXCLUSIVE MODE;
      LOCK TABLE {schema}.outbox_default IN ACCESS EXCLUSIVE MODE;
      EXECUTE format(
        'CREATE TABLE {schema}.%I (LIKE {schema}.outbox INCLUDING DEFAULTS)', partition);
      EXECUTE format(
        'WITH caught AS (DELETE FROM {schema}.outbox_default '
        'WHERE created_at >= %L AND created_at < %L RETURNING *) '
        'INSERT INTO {schema}.%I SELECT * FROM caught',
        day::timestamptz, (day + 1)::timestamptz, partition);
      EXECUTE format(
        'ALTER TABLE {schema}.outbox ATTACH PARTITION {schema}.%I FOR VALUES FROM (%L) TO (%L)',
        partition, day::timestamptz, (day + 1)::timestamptz);
    EXCEPTION
      WHEN lock_not_available THEN
        outcome := 'busy';
      WHEN invalid_object_definition THEN
        -- The partition that the migration made of the older rows reaches over that day.
        CONTINUE;
    END;
    RETURN NEXT;
  END LOOP;
END
$roll$
"""
REVOKE_ROLL_OUTBOX = "REVOKE ALL ON FUNCTION {schema}.roll_outbox(timestamptz) FROM PUBLIC"
GRANT_ROLL_OUTBOX = """
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{schema}_app') THEN
    GRANT EXECUTE ON FUNCTION {schema}.roll_outbox(timestamptz) TO {schema}_app;
  END IF;
END $$
"""
CREATE_DEFAULT = "CREATE TABLE {schema}.outbox_default PARTITION OF {schema}.outbox DEFAULT"
ROLL = "SELECT partition, outcome FROM {schema}.roll_outbox()"


class Rolled(msgspec.Struct, frozen=True):
    """What became of one partition: `created`, `dropped`, `busy` (its lock was not to be had, so
    the next hour tries again) or `unpublished` (it is due, but holds a row that has not left).
    """

    partition: str
    outcome: str


async def roll_partitions(
    tx: AsyncSession, schema: str, *, moment: datetime | None = None
) -> list[Rolled]:
    """Make the days ahead and drop what is past keeping; the database's time unless told.

    Does nothing while another replica does it. Days from which nothing changed are not told.
    """
    given = func.now() if moment is None else literal(moment, DateTime(timezone=True))
    rolled = getattr(func, schema).roll_outbox(given).table_valued("partition", "outcome")
    rows = await tx.execute(select(rolled.c.partition, rolled.c.outcome))
    return [Rolled(partition, outcome) for partition, outcome in rows]


def complete_partitions(connection: Connection, schema: str) -> None:
    """What `metadata.create_all` cannot know of: the first partitions, and the rolling function."""
    for statement in (CREATE_DEFAULT, CREATE_ROLL_OUTBOX, REVOKE_ROLL_OUTBOX, GRANT_ROLL_OUTBOX):
        connection.exec_driver_sql(statement.format(schema=schema))
    connection.exec_driver_sql(ROLL.format(schema=schema))
