--- DELETE of one shard's rows.
-- by literal
DELETE FROM order_items WHERE customer_id = 7
SELECT count(*) FROM order_items WHERE customer_id = 7
-- by parameter
DELETE FROM people WHERE name = $1 \p ada
-- no row
DELETE FROM customers WHERE id = 12345
-- returning
DELETE FROM customers WHERE id = 16 RETURNING *
-- using the same key
DELETE FROM order_items i USING orders o WHERE o.customer_id = i.customer_id AND o.number = i.number AND i.customer_id = 7 AND o.number = 1
-- using a reference table
DELETE FROM customers c USING countries k WHERE k.code = c.country AND c.id = 100
-- with a subquery
DELETE FROM orders WHERE customer_id = 7 AND number IN (SELECT number FROM order_items WHERE customer_id = 7 AND line = 2)
-- cascading
DELETE FROM orders WHERE customer_id = 7 AND number = 1
-- foreign key
DELETE FROM customers WHERE id = 7 \e 23503
-- two columns of a key
DELETE FROM pages WHERE (site, path) = ('münchen.de', '/straße')
-- a part of the key
DELETE FROM pages WHERE site = 'zoo' \refused-hash
-- uuid key
DELETE FROM devices WHERE id = '{11111111-2222-3333-4444-555555555555}'
-- contradiction
DELETE FROM people WHERE name = 'ada' AND name = 'bob'
-- null
DELETE FROM people WHERE name = NULL
-- list of one owner
DELETE FROM people WHERE name IN ('ada', 'ada')
-- local table
DELETE FROM settings WHERE key = 'color' RETURNING value
DELETE FROM settings
-- local table of another shard
DELETE FROM audit
-- is true
DELETE FROM orders WHERE customer_id = 7 AND (note = 'first') IS TRUE
