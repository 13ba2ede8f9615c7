--- Grouping over several shards by the key.
-- by the key
SELECT customer_id, count(*) FROM orders GROUP BY customer_id
-- by the key and more
SELECT customer_id, number, sum(quantity) FROM order_items GROUP BY customer_id, number
-- by ordinal
SELECT customer_id, sum(total), avg(total) FROM orders GROUP BY 1
-- by alias
SELECT customer_id AS who, max(placed) FROM orders GROUP BY who
-- having
SELECT customer_id, count(*) FROM orders GROUP BY customer_id HAVING count(*) > 2
SELECT customer_id FROM orders GROUP BY customer_id HAVING sum(total) > $1 \p 100
-- with a condition
SELECT customer_id, count(*) FILTER (WHERE note IS NULL), bool_or(total > 50) FROM orders WHERE number < 3 GROUP BY customer_id
-- over a join
SELECT c.id, c.name, count(o.number), sum(o.total) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id
-- over a join, by the nullable side
SELECT o.customer_id, count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY o.customer_id \refused
-- text key
SELECT name, max(age) FROM people GROUP BY name
-- two columns of a key
SELECT site, path, sum(hits) FROM pages GROUP BY site, path
-- a part of a key
SELECT site, sum(hits) FROM pages GROUP BY site \refused
-- without the key
SELECT note, count(*) FROM orders GROUP BY note \refused
-- by an expression of the key
SELECT customer_id % 2, count(*) FROM orders GROUP BY 1 \refused
-- distinct with the key
SELECT DISTINCT customer_id FROM orders
SELECT DISTINCT customer_id, note FROM orders
-- distinct on the key
SELECT DISTINCT ON (customer_id) customer_id FROM orders
-- distinct on without it
SELECT DISTINCT ON (note) note FROM orders \refused
-- grouping sets with the key
SELECT customer_id, note, count(*) FROM orders GROUP BY customer_id, ROLLUP (note)
-- grouping sets without
SELECT customer_id, count(*) FROM orders GROUP BY ROLLUP (customer_id) \refused
SELECT customer_id, note, count(*) FROM orders GROUP BY GROUPING SETS ((customer_id), (note)) \refused
-- partition by the key
SELECT customer_id, number, row_number() OVER (PARTITION BY customer_id ORDER BY number) FROM orders
SELECT customer_id, total - lag(total) OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY number)
-- partition without the key
SELECT customer_id, rank() OVER (PARTITION BY note ORDER BY total) FROM orders \refused
-- having without group
SELECT 1 FROM orders HAVING count(*) > 0 \refused
-- grouped in a derived table
SELECT * FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) g WHERE n > 1
-- joined with what is grouped
SELECT c.name, g.n FROM customers c JOIN (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) g ON g.customer_id = c.id
-- grouped twice
SELECT n, count(*) FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) g GROUP BY n \refused
-- ordered
SELECT customer_id, count(*) FROM orders GROUP BY customer_id ORDER BY 1 \refused
-- aggregates with an order of their own
SELECT customer_id, array_agg(number ORDER BY number DESC), string_agg(note, '/' ORDER BY number) FROM orders GROUP BY customer_id
