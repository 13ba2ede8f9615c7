--- INSERT of a query.
-- by key
INSERT INTO orders (customer_id, number, total) SELECT customer_id, number + 10, total FROM orders WHERE customer_id = 7
SELECT number FROM orders WHERE customer_id = 7 ORDER BY number
-- constants
INSERT INTO customers (id, name) SELECT 300, 'selected'
INSERT INTO customers SELECT 301, 'selected'
-- from a reference table
INSERT INTO orders (customer_id, number, note) SELECT 7, 100 + length(name), code FROM countries WHERE code = 'FR'
-- from a reference table by parameter
INSERT INTO orders (customer_id, number, note) SELECT $1, 100, code FROM countries WHERE code = 'FR' RETURNING customer_id, note \p 7
-- from another table with the key
INSERT INTO order_items SELECT customer_id, number, 9, 'nine' FROM orders WHERE customer_id = 7
-- into a local table
INSERT INTO settings SELECT code, name FROM countries
-- into a local table from one shard
INSERT INTO settings SELECT 'x' || key, value FROM settings
-- of values
INSERT INTO orders (customer_id, number) SELECT * FROM (VALUES (7, 60), (7, 61)) v \refused
-- over all
INSERT INTO orders (customer_id, number) SELECT id, 70 FROM customers \refused
-- from local rows
INSERT INTO customers (id, name) SELECT 302, value FROM settings WHERE key = 'color' \refused-hash \refused-range
-- with a cte
WITH s AS (SELECT 7::bigint AS c) INSERT INTO orders (customer_id, number) SELECT c, 80 FROM s \refused
