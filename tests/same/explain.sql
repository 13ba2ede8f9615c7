--- EXPLAIN.
-- no table
EXPLAIN (COSTS off) SELECT 1
-- local table
EXPLAIN (COSTS off) SELECT * FROM settings WHERE key = 'color'
-- verbose
EXPLAIN (VERBOSE, COSTS off) SELECT key FROM settings
-- formats
EXPLAIN (COSTS off, FORMAT json) SELECT 1
EXPLAIN (COSTS off, FORMAT yaml) SELECT 1
-- analyze
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM settings
-- analyze writes
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) DELETE FROM settings WHERE key = 'color'
SELECT count(*) FROM settings
-- of a sharded table
EXPLAIN (COSTS off) SELECT name FROM customers WHERE id = 7 \refused
-- of all shards
EXPLAIN (COSTS off) SELECT name FROM customers \refused
-- analyze of a write
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) DELETE FROM people WHERE false \refused
-- of a reference table
EXPLAIN (COSTS off) SELECT * FROM countries \refused
-- of an error
EXPLAIN SELECT * FROM nosuch \e 42P01
EXPLAIN SELEC 1 \e 42601
-- option that is not known
EXPLAIN (nosuch) SELECT 1 \e 42601
-- of values
EXPLAIN (COSTS off) VALUES (1), (2)
-- with parameters
EXPLAIN (COSTS off) SELECT * FROM settings WHERE key = 'color' AND value = 'x'
