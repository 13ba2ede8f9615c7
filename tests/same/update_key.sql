--- UPDATE of one shard's rows.
-- by literal
UPDATE customers SET name = 'renamed' WHERE id = 7
SELECT name FROM customers WHERE id = 7
-- by parameter
UPDATE customers SET balance = balance + $2 WHERE id = $1 \p 7 \p 1.25
-- no row
UPDATE customers SET name = 'x' WHERE id = 12345
-- returning
UPDATE customers SET name = upper(name) WHERE id = 7 RETURNING id, name
UPDATE customers c SET active = NOT active WHERE c.id = $1 RETURNING c.* \p 3
-- several columns
UPDATE orders SET (total, note) = (1, 'both') WHERE customer_id = 7 AND number = 1
UPDATE orders SET (total, note) = (SELECT 2, 'sub') WHERE customer_id = 7
-- several rows of one owner
UPDATE orders SET note = 'all of 7' WHERE customer_id = 7
-- from a table of the same key
UPDATE orders o SET note = c.name FROM customers c WHERE c.id = o.customer_id AND o.customer_id = 7
-- from a reference table
UPDATE customers c SET country = k.name FROM countries k WHERE k.code = c.country AND c.id = 1
-- with a subquery
UPDATE customers c SET balance = (SELECT sum(total) FROM orders o WHERE o.customer_id = c.id) WHERE id = 7
-- with a subquery over all
UPDATE customers SET balance = (SELECT sum(total) FROM orders) WHERE id = 7 \refused
-- to default
UPDATE customers SET balance = DEFAULT WHERE id = 7
-- text key
UPDATE people SET age = 1 WHERE name = 'zoë'
UPDATE people SET age = 1 WHERE name = $1 \p Ωmega
-- two columns of a key
UPDATE pages SET hits = 0 WHERE site = 'it''s' AND path = '/q?x=''1'''
-- uuid key
UPDATE devices SET tags = tags || 'new'::text WHERE id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' RETURNING tags
-- contradiction
UPDATE customers SET name = 'x' WHERE id = 7 AND id = 8
-- check violated
UPDATE orders SET total = -1 WHERE customer_id = 7 AND number = 1 \e 23514
-- division by zero
UPDATE orders SET total = 1 / 0 WHERE customer_id = 7 \e 22012
-- the key itself
UPDATE customers SET id = 500 WHERE id = 16 \refused
-- the key to itself
UPDATE customers SET id = id WHERE id = 7 \refused
-- a part of the key
UPDATE pages SET path = '/new' WHERE site = 'a' AND path = '/' \refused
-- a column that is no key
UPDATE order_items SET line = 9 WHERE customer_id = 3 AND number = 3 AND line = 1
-- local table
UPDATE settings SET value = 'x' WHERE key = 'color'
UPDATE settings SET value = 'x'
-- local table of another shard
UPDATE audit SET who = 'x' WHERE id = 1
