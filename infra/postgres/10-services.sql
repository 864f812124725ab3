-- Roles and schemas of the six services, run once by the postgres container on an empty volume.
-- Per schema S: S_owner runs the migrations, S_app reads and writes rows. Nobody sees another's
-- schema. The passwords are compose's own; elsewhere they come from the platform's secrets.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON DATABASE seda_dev FROM PUBLIC;

DO $$
DECLARE
  service text;
  owner text;
  app text;
BEGIN
  FOREACH service IN ARRAY ARRAY[
    'auth', 'user_artist', 'verification', 'chat', 'unfurl', 'crawler'
  ] LOOP
    owner := service || '_owner';
    app := service || '_app';
    EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L', owner, 'seda_pass');
    EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L', app, 'seda_pass');
    EXECUTE format('GRANT CONNECT ON DATABASE seda_dev TO %I, %I', owner, app);
    EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', service, owner);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', service, app);
    EXECUTE format(
      'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
      'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', owner, service, app);
    EXECUTE format(
      'ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
      'GRANT USAGE, SELECT ON SEQUENCES TO %I', owner, service, app);
    EXECUTE format('ALTER ROLE %I SET search_path = %I', owner, service);
    EXECUTE format('ALTER ROLE %I SET search_path = %I', app, service);
    -- A query nobody waits for any more must not hold its locks.
    EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', app, '30s');
    EXECUTE format('ALTER ROLE %I SET lock_timeout = %L', app, '5s');
    EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', app, '60s');
  END LOOP;
END
$$;
