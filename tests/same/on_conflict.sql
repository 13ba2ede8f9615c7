--- ON CONFLICT.
-- do nothing, a new row
INSERT INTO customers (id, name) VALUES (400, 'x') ON CONFLICT (id) DO NOTHING
-- do nothing, an old row
INSERT INTO customers (id, name) VALUES (7, 'x') ON CONFLICT (id) DO NOTHING
-- do nothing, whatever the conflict
INSERT INTO customers (id, name) VALUES (7, 'x') ON CONFLICT DO NOTHING RETURNING id \refused
-- do update
INSERT INTO customers (id, name) VALUES (7, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name || '!', balance = customers.balance + 1
SELECT * FROM customers WHERE id = 7
-- do update by parameter
INSERT INTO people VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET age = excluded.age RETURNING name, age \p ada \p 37
-- do update where
INSERT INTO customers (id, name) VALUES (7, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y' WHERE customers.active RETURNING name
INSERT INTO customers (id, name) VALUES (6, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y' WHERE customers.active RETURNING name
-- on constraint
INSERT INTO customers (id, name) VALUES (7, 'x') ON CONFLICT ON CONSTRAINT customers_pkey DO NOTHING \refused
-- two columns
INSERT INTO pages VALUES ('a', '/', 7) ON CONFLICT (site, path) DO UPDATE SET hits = pages.hits + excluded.hits RETURNING hits
-- several rows of one owner
INSERT INTO orders (customer_id, number, total) VALUES (7, 1, 5), (7, 9, 6) ON CONFLICT (customer_id, number) DO UPDATE SET total = excluded.total
-- the same row twice
INSERT INTO orders (customer_id, number) VALUES (7, 9), (7, 9) ON CONFLICT (customer_id, number) DO UPDATE SET total = 1 \e 21000
-- changing the key
INSERT INTO customers (id, name) VALUES (7, 'x') ON CONFLICT (id) DO UPDATE SET id = 8 \e 23505 \refused
-- no such constraint
INSERT INTO customers (id, name) VALUES (7, 'x') ON CONFLICT (name) DO NOTHING \e 42P10 \refused
-- local table
INSERT INTO settings VALUES ('color', 'blue') ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING *
