--- What runs on one shard and is declared or refused on several.
-- do
DO $$ BEGIN INSERT INTO settings VALUES ('done', 'x'); END $$ \refused
-- do with a notice
DO $$ BEGIN RAISE NOTICE 'hello %', 1; END $$ \refused
-- do with an error
DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '12345'; END $$ \e 12345 \refused
-- call of a declared procedure
CALL add_ticket('by call')
SELECT * FROM tickets ORDER BY id
-- call by parameter
CALL add_ticket($1) \p by parameter
-- call of one that is not there
CALL nosuch() \e 42883 \refused
-- listen and notify
LISTEN news
NOTIFY news, 'payload'
UNLISTEN news
NOTIFY news, 'unheard'
-- listen in a block
BEGIN
LISTEN news
NOTIFY news, 'a'
COMMIT
UNLISTEN *
-- notify rolled back
LISTEN news
BEGIN
NOTIFY news, 'lost'
ROLLBACK
SELECT 1
-- pg_notify
LISTEN news
SELECT pg_notify('news', 'by function')
UNLISTEN *
-- default of a sequence
INSERT INTO tickets (what) VALUES ('next') RETURNING *
INSERT INTO tickets (what) VALUES ('a'), ('b') RETURNING id
-- serial on another shard
INSERT INTO audit (who) VALUES ('x') RETURNING id, who
-- advisory locks
SELECT pg_advisory_lock(1), pg_try_advisory_lock(2)
SELECT pg_advisory_unlock(1)
SELECT pg_advisory_unlock(1)
SELECT pg_advisory_unlock_all()
-- advisory locks of a transaction
BEGIN
SELECT pg_advisory_xact_lock(1)
COMMIT
-- large objects
BEGIN
SELECT lo_create(4711)
SELECT lo_unlink(4711)
COMMIT
-- version and settings
SELECT version() IS NOT NULL, current_database() IS NOT NULL, current_user
-- sizes
SELECT pg_size_pretty(10240::bigint), pg_column_size(1)
-- random but repeatable
SELECT setseed(0.5)
SELECT setseed(0.5), random() < 2
-- two-phase commit outside a block
PREPARE TRANSACTION 'x'
-- two-phase commit of what is not there
COMMIT PREPARED 'nosuch' \e 42704
ROLLBACK PREPARED 'nosuch' \e 42704
-- lock timeout and others
SET lock_timeout = '1s'
SELECT key FROM settings WHERE key = 'color' FOR UPDATE
SELECT key FROM settings FOR SHARE SKIP LOCKED
-- a local table by subqueries
UPDATE settings SET value = (SELECT name FROM countries WHERE code = 'FR') WHERE key = 'color' RETURNING value
INSERT INTO settings SELECT who, 'from audit' FROM audit \refused
