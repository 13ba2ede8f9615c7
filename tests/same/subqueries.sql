--- CTEs, derived tables and subqueries.
-- cte by key
WITH o AS (SELECT * FROM orders WHERE customer_id = 7) SELECT number, total FROM o ORDER BY number
-- cte, key outside
WITH o AS (SELECT * FROM orders) SELECT number, total FROM o WHERE customer_id = 7 ORDER BY number
-- cte, materialized
WITH o AS MATERIALIZED (SELECT * FROM orders WHERE customer_id = 7) SELECT count(*) FROM o
-- cte used twice
WITH o AS (SELECT * FROM orders WHERE customer_id = 7) SELECT a.number, b.number FROM o a JOIN o b ON a.number < b.number ORDER BY 1, 2
-- cte over all
WITH o AS (SELECT customer_id, total FROM orders WHERE total > 50) SELECT * FROM o
-- cte with columns
WITH o (who, what) AS (SELECT customer_id, total FROM orders) SELECT what FROM o WHERE who = 7
-- two ctes
WITH c AS (SELECT * FROM customers WHERE id = 7), o AS (SELECT * FROM orders WHERE customer_id = 7) SELECT c.name, o.number FROM c, o
WITH c AS (SELECT * FROM customers), o AS (SELECT * FROM orders) SELECT c.name, o.number FROM c JOIN o ON o.customer_id = c.id
-- a cte that shadows a table
WITH settings AS (SELECT id, name FROM customers WHERE id = 7) SELECT * FROM settings
WITH customers AS (SELECT 1 AS id, 'shadow' AS name) SELECT * FROM customers WHERE id = 1
-- derived by key
SELECT d.n FROM (SELECT count(*) AS n FROM orders WHERE customer_id = 7) d
-- derived, key outside
SELECT * FROM (SELECT customer_id AS who, number FROM orders) d WHERE who = 7 ORDER BY number
-- derived with limit, key inside
SELECT * FROM (SELECT number FROM orders WHERE customer_id = 7 ORDER BY number LIMIT 2) d ORDER BY 1 DESC
-- derived with limit, key outside
SELECT * FROM (SELECT customer_id, number FROM orders ORDER BY number LIMIT 2) d WHERE customer_id = 7 \refused
-- derived with an aggregate, key outside
SELECT * FROM (SELECT max(customer_id) AS top FROM orders) d WHERE top = 7 \refused
-- derived with distinct, key outside
SELECT * FROM (SELECT DISTINCT customer_id FROM orders) d WHERE customer_id = 7
-- derived with window, key outside
SELECT * FROM (SELECT customer_id, row_number() OVER (ORDER BY customer_id, number) AS r FROM orders) d WHERE customer_id = 7 \refused
-- lateral
SELECT c.name, l.number FROM customers c, LATERAL (SELECT number FROM orders o WHERE o.customer_id = c.id ORDER BY number LIMIT 1) l WHERE c.id = 7
SELECT c.name, l.number FROM customers c, LATERAL (SELECT number FROM orders o WHERE o.customer_id = c.id ORDER BY number LIMIT 1) l
-- scalar
SELECT name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE id = 7
SELECT name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c
-- scalar without correlation
SELECT name, (SELECT count(*) FROM orders) FROM customers c \refused
-- scalar of one key
SELECT (SELECT name FROM customers WHERE id = 7)
SELECT (SELECT name FROM customers WHERE id = 7), (SELECT count(*) FROM orders WHERE customer_id = 7)
-- key from a subquery
SELECT name FROM customers WHERE id = (SELECT 7)
-- key from a sharded subquery
SELECT name FROM customers WHERE id = (SELECT max(customer_id) FROM orders) \refused
-- scalar of two keys
SELECT (SELECT name FROM customers WHERE id = 7), (SELECT name FROM customers WHERE id = 99) \refused-range
-- in a subquery by key
SELECT number FROM orders WHERE customer_id = 7 AND number IN (SELECT number FROM order_items WHERE customer_id = 7) ORDER BY 1
-- in a subquery without
SELECT number FROM orders WHERE customer_id = 7 AND number IN (SELECT number FROM order_items) \refused
-- exists, key inside only
SELECT key FROM settings WHERE EXISTS (SELECT FROM customers WHERE id = 1)
-- array
SELECT ARRAY(SELECT number FROM orders WHERE customer_id = 7 ORDER BY number) \refused
-- row comparison
SELECT number FROM orders WHERE (customer_id, number) = (7, 2)
-- deep
SELECT * FROM (SELECT * FROM (SELECT customer_id c, number n FROM orders) x WHERE n > 1) y WHERE c = 7 ORDER BY n
-- values as a table
SELECT v.a, c.name FROM (VALUES (7::bigint), (9)) v (a) JOIN customers c ON c.id = v.a WHERE c.id = 7
-- writing cte
WITH gone AS (DELETE FROM order_items WHERE customer_id = 7 RETURNING *) SELECT count(*) FROM gone \refused
-- writing cte of two tables
WITH i AS (INSERT INTO orders VALUES (7, 50, 5) RETURNING customer_id, number) INSERT INTO order_items SELECT customer_id, number, 1, 'new' FROM i \refused
-- recursive over a sharded table
WITH RECURSIVE r AS (SELECT number FROM orders WHERE customer_id = 7 UNION ALL SELECT number + 10 FROM r WHERE number < 10) SELECT * FROM r ORDER BY 1 \refused
