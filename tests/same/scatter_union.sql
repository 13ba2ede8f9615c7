--- Set operations over several shards.
-- union all of two tables
SELECT id, name FROM customers UNION ALL SELECT customer_id, note FROM orders
-- union all of one table
SELECT id FROM customers WHERE active UNION ALL SELECT id FROM customers WHERE NOT active
-- union all of three
SELECT id FROM customers UNION ALL SELECT customer_id FROM orders UNION ALL SELECT customer_id FROM order_items
-- union all of conditions
SELECT id, 'a' AS of FROM customers WHERE id < 5 UNION ALL SELECT customer_id, 'b' FROM orders WHERE total > 100
-- union all with duplicates
SELECT customer_id FROM orders UNION ALL SELECT customer_id FROM orders
-- union by the key
SELECT id FROM customers UNION SELECT customer_id FROM orders
-- except by the key
SELECT id FROM customers EXCEPT SELECT customer_id FROM orders
-- except all by the key
SELECT customer_id FROM orders EXCEPT ALL SELECT id FROM customers
-- intersect by the key
SELECT id FROM customers INTERSECT SELECT customer_id FROM orders
-- union by the key and more
SELECT customer_id, note FROM orders UNION SELECT customer_id, sku FROM order_items
-- union without the key
SELECT country FROM customers UNION SELECT note FROM orders \refused
-- the key at another place
SELECT id, 1::bigint FROM customers UNION SELECT 1::bigint, customer_id FROM orders \refused
-- with a constant branch
SELECT id FROM customers UNION ALL SELECT 1 \refused
-- with a reference branch
SELECT name FROM customers UNION ALL SELECT name FROM countries \refused
-- with a local branch
SELECT name FROM customers UNION ALL SELECT value FROM settings \refused
-- two distributions
SELECT name FROM customers UNION ALL SELECT name FROM people \refused
-- ordered
SELECT id FROM customers UNION ALL SELECT customer_id FROM orders ORDER BY 1 \refused
-- limited
SELECT count(*) FROM (SELECT id FROM customers UNION ALL SELECT customer_id FROM orders LIMIT 5) l \refused
-- direct
SELECT id, name FROM customers WHERE id = 7 UNION ALL SELECT customer_id, note FROM orders WHERE customer_id = 7
SELECT id, name FROM customers WHERE id = 7 UNION SELECT customer_id, note FROM orders WHERE customer_id = 7 ORDER BY 2
-- direct with constants
SELECT id FROM customers WHERE id = 7 UNION ALL SELECT 8
-- one branch by key, one by another
SELECT id FROM customers WHERE id = 7 UNION ALL SELECT id FROM customers WHERE id = 99
-- in a derived table
SELECT * FROM (SELECT id, name FROM customers UNION ALL SELECT customer_id, note FROM orders) u \refused
-- derived, by key
SELECT * FROM (SELECT id, name FROM customers UNION ALL SELECT customer_id, note FROM orders) u WHERE id = 7 \refused
-- nested
(SELECT id FROM customers EXCEPT SELECT customer_id FROM orders) UNION ALL SELECT customer_id FROM order_items \refused
