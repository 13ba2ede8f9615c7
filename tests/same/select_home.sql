--- Local tables, and statements of no table.
-- no table
SELECT 1
SELECT 1 AS one, 'two' AS two, NULL AS none, true AS yes, 1.50 AS fraction
-- no columns
SELECT
SELECT FROM settings
-- local table
SELECT * FROM settings
SELECT * FROM settings ORDER BY key DESC
SELECT value FROM settings WHERE key = $1 \p color
-- local table of another shard
SELECT * FROM audit ORDER BY id
SELECT who FROM audit WHERE id = $1 \p 2
-- grouping and windows
SELECT count(*), count(value), max(key) FROM settings
SELECT key, row_number() OVER (ORDER BY key) FROM settings ORDER BY 1
SELECT length(value), count(*) FROM settings GROUP BY 1 ORDER BY 1 NULLS FIRST
SELECT DISTINCT value IS NULL AS missing FROM settings ORDER BY 1
-- a view
SELECT * FROM chosen ORDER BY key
-- a join with itself
SELECT a.key, b.key FROM settings a JOIN settings b ON a.key < b.key ORDER BY 1, 2
-- values
VALUES (1, 'a'), (2, NULL)
VALUES ($1::int, $2::text) \p 5 \p x
-- table command
TABLE settings
-- set-returning functions
SELECT * FROM generate_series(1, 5) g
SELECT * FROM unnest(ARRAY['a', 'b'], ARRAY[1, 2, 3]) AS t (x, y)
-- recursive
WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n, n * n FROM t ORDER BY n
-- local tables of two shards
SELECT * FROM audit, settings \refused
-- sequences
SELECT nextval('numbers')
SELECT nextval('numbers'), currval('numbers')
-- sequences in one transaction
BEGIN
SELECT nextval('numbers')
SELECT currval('numbers'), lastval()
COMMIT
-- a function that is declared
SELECT double_of(21)
-- catalogs
SELECT relname, relkind FROM pg_class WHERE relname IN ('customers', 'settings') ORDER BY 1
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'people' ORDER BY ordinal_position
SELECT 'settings'::regclass::text, 'int4'::regtype, to_regclass('nowhere')
-- tables joined in every way
SELECT s.key, a.v FROM settings s FULL JOIN (VALUES ('color', 1), ('taste', 2)) a (k, v) ON a.k = s.key ORDER BY 1, 2
SELECT s.key, a.v FROM settings s LEFT JOIN LATERAL (SELECT length(s.value) AS v) a ON true ORDER BY 1
