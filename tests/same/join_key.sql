--- Joins by the key: on one shard by key, or on all of them.
-- direct, key on the left
SELECT c.name, o.number, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 7
-- direct, key on the right
SELECT c.name, o.number FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 7 ORDER BY o.number
-- direct, by parameter
SELECT c.name, o.number FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = $1 \p 6
-- direct, comma
SELECT c.name, o.number FROM customers c, orders o WHERE o.customer_id = c.id AND c.id = 7
-- direct, three tables
SELECT c.name, o.total, i.sku, i.quantity FROM customers c JOIN orders o ON o.customer_id = c.id
  JOIN order_items i ON i.customer_id = o.customer_id AND i.number = o.number WHERE c.id = 7 ORDER BY o.number, i.line
-- direct, using
SELECT number, sku, total FROM orders JOIN order_items USING (customer_id, number) WHERE customer_id = 7 ORDER BY 1, 2
-- direct, natural
SELECT * FROM orders NATURAL JOIN order_items WHERE customer_id = 6 ORDER BY number, line
-- direct, left
SELECT c.name, o.number FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 8
SELECT c.name, o.number FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.number = 2 WHERE c.id = 7
-- direct, full
SELECT c.name, o.number FROM (SELECT * FROM customers WHERE id = 7) c
  FULL JOIN (SELECT * FROM orders WHERE customer_id = 7) o ON o.number = c.id - 5 ORDER BY 2
-- both keys given
SELECT c.name, o.number FROM customers c, orders o WHERE c.id = 7 AND o.customer_id = 7
-- two keys of unlike owners
SELECT a.name, b.name FROM customers a, customers b WHERE a.id = 7 AND b.id = 99 \refused-range
-- scatter
SELECT c.name, o.number, o.total FROM customers c JOIN orders o ON o.customer_id = c.id
-- scatter with conditions
SELECT c.name, o.note FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total > 70 AND c.active
-- scatter left
SELECT c.name, o.number FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
SELECT c.name FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.number IS NULL
-- scatter right
SELECT c.name, o.number FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id
-- scatter with conditions in on
SELECT c.name, o.number FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND c.id = 7
SELECT c.name, o.number FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.customer_id = 7
-- scatter of lists
SELECT c.name, o.number FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id IN (1, 2, 3, 99)
-- scatter, three tables
SELECT c.name, i.sku FROM customers c JOIN orders o ON o.customer_id = c.id JOIN order_items i USING (customer_id, number)
-- semi and anti joins
SELECT name FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.total > 100)
SELECT name FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id)
SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 100)
-- not in a subquery
SELECT name FROM customers WHERE id NOT IN (SELECT customer_id FROM orders) \refused
-- not by the key
SELECT c.name FROM customers c JOIN orders o ON o.number = c.id \refused
-- cross
SELECT c.name, o.number FROM customers c CROSS JOIN orders o \refused
-- full
SELECT c.name, o.number FROM customers c FULL JOIN orders o ON o.customer_id = c.id \refused
-- tables of two distributions
SELECT c.name, p.age FROM customers c JOIN people p ON p.name = c.name \refused
-- the nullable side does not bind
SELECT a.name FROM customers a LEFT JOIN customers b ON b.id = 7 WHERE a.country = 'FR' \refused
-- by an inequality
SELECT c.name FROM customers c JOIN orders o ON o.customer_id >= c.id \refused
-- both by OR
SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.id OR o.number = 3 \refused
