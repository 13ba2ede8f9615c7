--- NULLs, results without rows, and statements without a word.
-- empty query
;
-- only comments
/* nothing */
/* nothing */ -- nothing
-- only semicolons [simple]
;;;
-- semicolons around [simple]
; SELECT 1; ;
-- no rows
SELECT * FROM customers WHERE false
SELECT id, name FROM customers WHERE id = 7 AND false
SELECT * FROM settings WHERE key = 'none'
-- no rows of a scatter
SELECT name, balance FROM customers WHERE balance > 99999999999
-- limit nothing
SELECT * FROM customers WHERE id = 7 LIMIT 0
-- all null
SELECT NULL, NULL::int, NULL::text[] FROM customers WHERE id = 7
-- null conditions
SELECT * FROM customers WHERE NULL
SELECT * FROM customers WHERE id = NULL
SELECT id FROM customers WHERE NOT (country = 'FR')
SELECT id FROM customers WHERE country IS DISTINCT FROM 'FR'
-- null parameters
SELECT $1::text IS NULL, coalesce($1, 'none') \p NULL
SELECT name FROM people WHERE name = $1 \p NULL
SELECT name FROM people WHERE age IS NOT DISTINCT FROM $1 \p NULL
-- empty text is not null
SELECT age FROM people WHERE name = ''
SELECT age FROM people WHERE name = $1::text || '' \p ada
SELECT value IS NULL, value = '' FROM settings ORDER BY key
-- aggregates of nothing
SELECT count(*), sum(total), max(note) FROM orders WHERE customer_id = 12345
-- nothing grouped
SELECT customer_id, count(*) FROM orders WHERE false GROUP BY customer_id
-- nothing updated or deleted
UPDATE customers SET name = 'x' WHERE id = NULL
DELETE FROM customers WHERE id = 7 AND false
-- nothing inserted
INSERT INTO customers (id, name) SELECT 700, 'x' WHERE false
INSERT INTO settings SELECT 'a', 'b' WHERE false RETURNING *
-- columns without names
SELECT 1, count(*), (SELECT 2), CASE WHEN true THEN 1 END, ARRAY[1], 'x'::text, current_date IS NULL
