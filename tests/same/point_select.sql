--- One row by its sharding key, in every spelling of the key.
-- literal
SELECT * FROM customers WHERE id = 7
-- literal on the left
SELECT name FROM customers WHERE 8 = id
-- quoted literal
SELECT id, name FROM customers WHERE id = '9'
-- quoted literal with blanks
SELECT id, name FROM customers WHERE id = ' 9 '
-- parameter
SELECT * FROM customers WHERE id = $1 \p 3
-- parameter of NULL
SELECT * FROM customers WHERE id = $1 \p NULL
-- negative
SELECT name FROM customers WHERE id = -1
-- negative parameter
SELECT name FROM customers WHERE id = $1 \p -1
-- zero and minus zero
SELECT name FROM customers WHERE id = 0
SELECT name FROM customers WHERE id = -0
-- largest and smallest
SELECT name FROM customers WHERE id = 9223372036854775807
SELECT name FROM customers WHERE id = $1 \p -9223372036854775808
SELECT name FROM customers WHERE id = -9223372036854775808
-- beyond the type
SELECT name FROM customers WHERE id = 9223372036854775808
SELECT name FROM customers WHERE id = '9223372036854775808' \e 22003
-- no such row
SELECT * FROM customers WHERE id = 123456
-- numeric literal of an integer
SELECT name FROM customers WHERE id = 7.0
-- further conditions
SELECT name FROM customers WHERE id = 7 AND active AND name LIKE 'c%'
SELECT name FROM customers WHERE id = 7 AND NOT (name = 'x')
-- two keys that contradict
SELECT name FROM customers WHERE id = 7 AND id = 8
-- the same key twice
SELECT name FROM customers WHERE id = 7 OR id = 7
-- aliases and quotes
SELECT "c"."name" AS "The Name", c.id FROM public.customers AS "c" WHERE "c".id = 7
-- comments inside
SELECT /* a comment; with ' in it */ name -- more
 FROM customers WHERE id = 7
-- letters of any case
sElEcT NAME fRoM CUSTOMERS wHeRe ID = 7
-- star and expressions
SELECT *, id * 2 AS double, upper(name), NULL, 'lit', coalesce(country, '?') FROM customers WHERE id = 13
-- aggregate over one key
SELECT count(*), sum(total), max(placed), string_agg(note, ',' ORDER BY number) FROM orders WHERE customer_id = 7
-- order and limit of one key
SELECT number, total FROM orders WHERE customer_id = 7 ORDER BY total DESC LIMIT 2 OFFSET 1
-- window over one key
SELECT number, sum(total) OVER (ORDER BY number) FROM orders WHERE customer_id = 7 ORDER BY number
-- small integer key
SELECT taken FROM slots WHERE slot = -1
SELECT taken FROM slots WHERE slot = $1 \p 32767
SELECT taken FROM slots WHERE slot = 32768
-- integer key
SELECT name FROM cities WHERE zone = 42
SELECT name FROM cities WHERE zone = $1 \p 2147483647
-- bigint parameter for an integer key
SELECT name FROM cities WHERE zone = $1::bigint \p 42
-- literal of a wrong type
SELECT name FROM customers WHERE id = 'seven' \e 22P02
-- parameter of a wrong type
SELECT name FROM customers WHERE id = $1 \p seven \e 22P02
