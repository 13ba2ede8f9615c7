--- Errors as PostgreSQL words them.
-- syntax
SELEC 1 \e 42601
SELECT FROM WHERE \e 42601
SELECT * FROM settings WHERE key = \e 42601
SELECT 1 1 \e 42601
SELECT (1 \e 42601
-- quotes that do not end
SELECT 'abc \e 42601
SELECT "abc \e 42601
SELECT $$abc \e 42601
SELECT /* abc \e 42601
-- no such table
SELECT * FROM nosuch \e 42P01
INSERT INTO nosuch VALUES (1) \e 42P01
UPDATE nosuch SET a = 1 \e 42P01
DELETE FROM nosuch \e 42P01
SELECT * FROM nosuch.customers \e 42P01
-- no such column
SELECT nosuch FROM customers WHERE id = 7 \e 42703
SELECT name FROM customers WHERE id = 7 AND nosuch = 1 \e 42703
SELECT c.name FROM customers WHERE id = 7 \e 42P01
-- no such function
SELECT nosuch(1) \e 42883 \refused
-- no such operator
SELECT 1 + 'a'::text \e 42883
SELECT name + 1 FROM customers WHERE id = 7 \e 42883
-- no such type
SELECT 1::nosuch \e 42704
-- division by zero
SELECT 1 / 0 \e 22012
SELECT 1 / (id - 7) FROM customers WHERE id = 7 \e 22012
-- wrong text of a value
SELECT 'x'::int \e 22P02
SELECT '2024-02-30'::date \e 22008
SELECT '{1,2'::int[] \e 22P02
SELECT '{"a'::json \e 22P02
SELECT 'x'::uuid \e 22P02
-- out of range
SELECT 99999999999::int \e 22003
SELECT 2147483647 + 1 \e 22003
-- ambiguous
SELECT name FROM customers a, customers b WHERE a.id = 7 AND b.id = 7 \e 42702
-- grouping
SELECT name, count(*) FROM customers WHERE id = 7 GROUP BY id, balance HAVING name = 'x'
SELECT note, count(*) FROM orders WHERE customer_id = 7 \e 42803
-- aggregates in a condition
SELECT number FROM orders WHERE customer_id = 7 AND max(total) > 1 \e 42803
-- more than one row
SELECT (SELECT number FROM orders WHERE customer_id = 7) \e 21000
-- columns of branches
SELECT id, name FROM customers WHERE id = 7 UNION ALL SELECT 1 \e 42601
SELECT id FROM customers WHERE id = 7 UNION ALL SELECT 'x' \e 22P02
-- permission
SELECT * FROM pg_authid \e 42501
-- parameters [simple]
SELECT $1 \e 42P02
-- cast of what cannot be cast
SELECT true::date \e 42846
-- an ordinal beyond the list
SELECT name FROM customers WHERE id = 7 ORDER BY 2 \e 42P10
-- limits
SELECT name FROM customers WHERE id = 7 LIMIT -1 \e 2201W
SELECT name FROM customers WHERE id = 7 OFFSET -1 \e 2201X
-- after an error the session goes on
SELECT 1 / 0 \e 22012
SELECT name FROM customers WHERE id = 7
SELECT nosuch FROM customers \e 42703
SELECT id FROM customers WHERE active
-- exclusion of a savepoint name
ROLLBACK TO \e 42601
-- invalid utf-8 escape
SELECT E'\xff' \e 22021
-- deep recursion
WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t LIMIT 3
-- window misuse
SELECT number FROM orders WHERE customer_id = 7 AND row_number() OVER () = 1 \e 42P20
-- set-returning function misuse
SELECT number FROM orders WHERE customer_id = 7 AND generate_series(1, 2) = 1 \e 0A000
