--- One row, or rows of one owner.
-- with columns
INSERT INTO customers (id, name) VALUES (200, 'new')
SELECT * FROM customers WHERE id = 200
-- without columns
INSERT INTO customers VALUES (201, 'new', 'FR', '2024-01-01', 1.5, true)
-- without columns, fewer values
INSERT INTO customers VALUES (202, 'short')
SELECT * FROM customers WHERE id = 202
-- without columns, more values
INSERT INTO people VALUES ('x', 1, 2) \e 42601
-- by parameters
INSERT INTO customers (name, id, balance) VALUES ($1, $2, $3) \p by parameter \p 203 \p 12.345
SELECT * FROM customers WHERE id = $1 \p 203
-- null by parameter
INSERT INTO customers (id, name, country) VALUES ($1, $2, $3) \p 204 \p n \p NULL
-- quoted key
INSERT INTO customers (id, name) VALUES ('205', 'quoted')
-- cast key
INSERT INTO customers (id, name) VALUES ('206'::bigint, 'cast'), (206::int + 1, 'x') \refused
-- cast key alone
INSERT INTO customers (id, name) VALUES ('206'::bigint, 'cast')
-- negative key
INSERT INTO customers (id, name) VALUES (-206, 'negative')
-- defaults
INSERT INTO customers (id, name, balance) VALUES (207, 'default', DEFAULT)
-- returning
INSERT INTO customers (id, name) VALUES (208, 'r') RETURNING id, name || '!', balance
INSERT INTO customers VALUES (209, 'r') RETURNING *
INSERT INTO customers AS c (id, name) VALUES ($1, $2) RETURNING c.id AS "new id" \p 210 \p r
-- rows of one owner
INSERT INTO orders (customer_id, number, total) VALUES (1, 10, 1), (1, 11, 2), (1, 12, 3)
INSERT INTO orders VALUES ($1, 13, 1), ($1, 14, 2) RETURNING number \p 1
-- rows of several owners
INSERT INTO orders (customer_id, number) VALUES (1, 20), (2, 20), (3, 20), (4, 20), (99, 20) \refused
-- text key
INSERT INTO people VALUES ('neu', 1), ('neu2', 2) \refused-hash
INSERT INTO people VALUES ('日本語', 1)
INSERT INTO people VALUES ($1, 1) \p 😀
SELECT * FROM people WHERE name = '😀'
-- text key with quotes
INSERT INTO people VALUES ('it''s', 1)
-- text key with escapes
INSERT INTO people VALUES (E'tab\there', 1) \refused
-- text key in dollars
INSERT INTO people VALUES ($$dollar$$, 1)
-- text key by code points
INSERT INTO people VALUES (U&'\0441\043B\043E\043D', 1) \refused
-- two columns of a key
INSERT INTO pages VALUES ('new', '/p', 1)
INSERT INTO pages (hits, path, site) VALUES ($1, $2, $3) \p 5 \p /q \p new
-- varchar key that is cut of its blanks
INSERT INTO pages (site, path) VALUES ('s', '12345678901234567890   ') \refused
-- varchar key that is too long
INSERT INTO pages (site, path) VALUES ('s', '123456789012345678901') \e 22001 \refused
-- uuid key
INSERT INTO devices (id) VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12')
INSERT INTO devices (id, data) VALUES ($1, $2) \p {a0eebc99-9c0b4ef8-bb6d6bb9-bd380a13} \p {"k": 1}
SELECT id, data FROM devices WHERE id = 'a0eebc999c0b4ef8bb6d6bb9bd380a13'
-- smallint key
INSERT INTO slots VALUES (5, true)
INSERT INTO slots VALUES (32768, true) \e 22003
-- fractions as an integer key
INSERT INTO cities (zone, name) VALUES (7.5, 'rounded') \refused
-- null key [simple]
INSERT INTO customers (id, name) VALUES (NULL, 'x') \e 23502
-- key left out
INSERT INTO customers (name) VALUES ('x') \e 23502 \refused
-- an expression as the key
INSERT INTO customers (id, name) VALUES (200 + 11, 'sum') \refused
-- volatile key
BEGIN
INSERT INTO devices (id) VALUES (gen_random_uuid()) RETURNING 1 \refused
ROLLBACK
-- volatile value
INSERT INTO customers (id, name) VALUES (212, 'x') RETURNING now() - now()
INSERT INTO orders (customer_id, number, placed) VALUES (7, 30, date_trunc('century', now())) RETURNING placed < now()
-- duplicate key
INSERT INTO customers (id, name) VALUES (7, 'again') \e 23505
-- not null
INSERT INTO customers (id, name) VALUES (213, NULL) \e 23502
-- check
INSERT INTO orders (customer_id, number, total) VALUES (7, 31, -1) \e 23514
-- foreign key
INSERT INTO orders (customer_id, number) VALUES (12345, 1) \e 23503
-- wrong types
INSERT INTO customers (id, name) VALUES ('x', 'y') \e 22P02 \refused
-- more values than columns
INSERT INTO customers (id, name) VALUES (214, 'y', 3) \e 42601
-- no such column
INSERT INTO customers (id, nosuch) VALUES (215, 1) \e 42703 \refused
-- a column twice
INSERT INTO customers (id, id, name) VALUES (216, 217, 'x') \e 42701
-- default values
INSERT INTO customers DEFAULT VALUES \e 23502 \refused
-- numeric is rounded
INSERT INTO customers (id, name, balance) VALUES (218, 'x', 1.005) RETURNING balance
-- numeric overflows
INSERT INTO customers (id, name, balance) VALUES (219, 'x', 99999999999) \e 22003
-- overriding
INSERT INTO customers (id, name) OVERRIDING USER VALUE VALUES (220, 'o') \refused
