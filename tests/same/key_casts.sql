--- Keys under casts, typed literals and conversions.
-- cast with colons
SELECT name FROM customers WHERE id = '7'::bigint
SELECT name FROM customers WHERE id = 7::int
SELECT name FROM customers WHERE id = 7::int2
-- cast in words
SELECT name FROM customers WHERE id = CAST('7' AS bigint)
SELECT name FROM customers WHERE id = CAST($1 AS int8) \p 7
-- typed literal
SELECT name FROM customers WHERE id = int8 '7'
SELECT name FROM customers WHERE id = bigint '7'
-- parameter of a narrower type
SELECT name FROM customers WHERE id = $1::int2 \p 7
SELECT name FROM customers WHERE id = $1::int4 \p 7
-- parameter as text, then number
SELECT name FROM customers WHERE id = $1::text::bigint \p 7
-- cast to numeric
SELECT name FROM customers WHERE id = 7::numeric
SELECT name FROM customers WHERE id = $1::numeric \p 7
SELECT name FROM customers WHERE id = $1::numeric \p 7.5
-- cast to float
SELECT name FROM customers WHERE id = 7::float8
-- text key cast
SELECT age FROM people WHERE name = 'ada'::text
SELECT age FROM people WHERE name = 'ada'::varchar
SELECT age FROM people WHERE name = $1::varchar \p ada
SELECT age FROM people WHERE name = 'adam'::varchar(3)
SELECT age FROM people WHERE name = 'ada   '::char(3)
-- text key cast to name
SELECT age FROM people WHERE name = 'ada'::name
-- varchar key
SELECT hits FROM pages WHERE site = 'a' AND path = '/b'::varchar(2)
SELECT hits FROM pages WHERE site = 'a' AND path = '/b'::text
SELECT hits FROM pages WHERE site = 'a' AND path = '/b '
-- cast that fails
SELECT name FROM customers WHERE id = 'x'::bigint \e 22P02
-- cast of the column
SELECT name FROM customers WHERE id::text = '7'
-- arithmetic on the literal
SELECT name FROM customers WHERE id = 3 + 4
-- arithmetic on the column
SELECT name FROM customers WHERE id + 0 = 7
-- a function on the parameter
SELECT name FROM customers WHERE id = abs($1::bigint) \p -7
-- cast beyond the type
SELECT name FROM cities WHERE zone = '99999999999'::bigint
-- hexadecimal is no number in a quoted literal
SELECT name FROM customers WHERE id = '0x7' \e 22P02
