--- All shards, one after the other.
-- all
SELECT * FROM customers
-- all columns of texts
SELECT * FROM people
-- all of uuids, documents and arrays
SELECT * FROM devices
-- points
SELECT * FROM cities
-- condition
SELECT id, name FROM customers WHERE country = 'FR'
SELECT id, name FROM customers WHERE country = $1 \p DE
-- condition on null
SELECT id FROM customers WHERE country IS NULL
-- no row
SELECT * FROM customers WHERE name = 'nobody'
-- rows of one shard only
SELECT * FROM customers WHERE name = 'customer 7'
-- no columns
SELECT FROM customers
-- expressions
SELECT id % 10, upper(name), balance * 2, CASE WHEN active THEN 'yes' WHEN NOT active THEN 'no' ELSE '?' END AS "is active" FROM customers
-- constant
SELECT 1 AS one, 'x' FROM customers
-- parameters in the list
SELECT $1::text AS p, customer_id + $2 FROM order_items \p hello \p 5
-- like and regular expressions
SELECT name FROM people WHERE name LIKE '%a%' OR name ~ '^[A-Z]'
-- between dates
SELECT id FROM customers WHERE joined BETWEEN '2020-06-01' AND '2021-01-01'
-- numeric
SELECT id, balance FROM customers WHERE balance > 100.25
-- jsonb
SELECT id, data -> 'a' -> 2 FROM devices WHERE data ? 'a'
-- arrays
SELECT id, tags[1] FROM devices WHERE 'x' = ANY (tags)
-- local functions
SELECT id, length(name), abs(balance), to_char(joined, 'YYYY-MM') FROM customers
-- a declared function
SELECT double_of(customer_id) FROM orders WHERE number = 1
-- order
SELECT id FROM customers ORDER BY id \refused
-- limit
SELECT count(*) FROM (SELECT id FROM customers LIMIT 3) l \refused
-- offset
SELECT count(*) FROM (SELECT id FROM customers OFFSET 3) l \refused
-- count
SELECT count(*) FROM customers \refused
-- sum
SELECT sum(balance) FROM customers \refused
-- distinct
SELECT DISTINCT country FROM customers \refused
-- window
SELECT id, row_number() OVER (ORDER BY id) FROM customers \refused
-- system columns
SELECT ctid IS NULL, id FROM customers \refused
-- row locks
SELECT id FROM customers FOR UPDATE \refused
-- the clock
SELECT id, now() > '2000-01-01' FROM customers \refused
-- volatile
SELECT id FROM customers WHERE random() < 2
-- sample
SELECT id FROM customers TABLESAMPLE BERNOULLI (100) \refused
-- error on one row
SELECT 1 / (id - 7) FROM customers WHERE id BETWEEN 1 AND 49 \e 22012
-- error in text
SELECT id, nosuch FROM customers \e 42703
-- ambiguous name
SELECT customer_id FROM orders, order_items WHERE orders.customer_id = order_items.customer_id \e 42702
-- type mismatch
SELECT id FROM customers WHERE name = 5 \e 42883
-- in a transaction
BEGIN
SELECT id, name FROM customers WHERE active
SELECT name FROM people WHERE age > 30
COMMIT
-- in a read-only transaction
BEGIN READ ONLY
SELECT id, name FROM customers WHERE active
COMMIT
-- many times
SELECT id FROM customers WHERE country = 'IT'
SELECT id FROM customers WHERE country = 'IT'
SELECT id FROM customers WHERE country = 'FR'
-- rows at a time
SELECT id FROM customers WHERE id = 7 \max 1
SELECT zone FROM cities \max 100
