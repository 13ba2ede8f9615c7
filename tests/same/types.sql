--- Every type there and back.
-- all of it
SELECT * FROM samples WHERE id = 1
SELECT * FROM samples WHERE id = 2
SELECT * FROM samples WHERE id = 3
SELECT * FROM samples WHERE id = 4
SELECT * FROM samples ORDER BY id
-- integers
SELECT small, id, big FROM samples ORDER BY id
SELECT $1::smallint, $2::int, $3::bigint \p -32768 \p -2147483648 \p -9223372036854775808
-- numeric
SELECT exact, exact * 3, round(exact, 2) FROM samples ORDER BY id
SELECT $1::numeric, $1::numeric(10, 2), $1::numeric / 7 \p 1234.5678
SELECT 1e30::numeric, 0.1 + 0.2, 'NaN'::numeric, 'Infinity'::numeric
-- floats
SELECT single, twice, single::text, twice + 0.1 FROM samples ORDER BY id
SELECT $1::real, $2::float8 \p 0.1 \p 0.1
SELECT 1e308 * 10
SELECT 1e308::float8 * 10 \e 22003
-- booleans
SELECT truth, NOT truth, truth AND NULL FROM samples ORDER BY id
SELECT $1::bool, 'yes'::bool, 'off'::bool \p true
-- texts
SELECT chars, chars2, words, length(words), octet_length(words) FROM samples ORDER BY id
SELECT $1::char(5) || '|', $1::varchar(2), $1::text, $1::name \p ab  c
SELECT E'\u00e9\n\t\\', U&'d\0061t\+000061', 'it''s', $x$dollar $$ quoted$x$
-- bytes
SELECT bytes, length(bytes), encode(bytes, 'base64') FROM samples ORDER BY id
SELECT $1::bytea, '\x00ff'::bytea || $1::bytea \p \x0102
-- dates and times
SELECT day, hour, hour_zone, moment, moment_zone, span FROM samples ORDER BY id
SELECT $1::date, $2::timestamp, $3::timestamptz, $4::interval \p 2024-02-29 \p 2024-02-29 23:59:60 \p 2024-03-31 02:30:00+00 \p 1 mon -1 day
SELECT date '2024-01-31' + interval '1 month', extract(epoch FROM timestamptz '2024-01-01 00:00+00')
-- json
SELECT document, tree, tree -> 'a', document ->> 'a' FROM samples ORDER BY id
SELECT $1::json, $1::jsonb \p {"b": [1, 2.50], "a": "ü"}
-- uuid
SELECT identity FROM samples ORDER BY id
SELECT $1::uuid \p A0EEBC999C0B4EF8BB6D6BB9BD380A11
-- network
SELECT address, network, mac FROM samples ORDER BY id
SELECT $1::inet, $2::cidr, $3::macaddr \p 10.1.2.3 \p 10.0.0.0/8 \p 08002b010203
-- bits
SELECT bits, bits || B'1' FROM samples ORDER BY id
SELECT $1::bit(3), $1::varbit \p 101
-- arrays
SELECT numbers, texts, grid, numbers[1], texts[2:3], array_length(grid, 1) FROM samples ORDER BY id
SELECT $1::int[], $2::text[], $3::bigint[] \p {1,NULL,3} \p {a,"b \"c\"",NULL} \p {1,2}
SELECT ARRAY[[1, 2], [3, 4]], '{}'::int[], ARRAY[NULL]::text[]
-- ranges
SELECT spans, lower(spans), upper_inf(spans) FROM samples ORDER BY id
SELECT $1::int4range, '[1,2]'::numrange, '{[1,3),[5,8)}'::int4multirange \p (1,5]
-- geometry
SELECT spot FROM samples ORDER BY id
SELECT $1::point, '((0,0),(1,1))'::box, '<(0,0),1>'::circle, '[(0,0),(1,1)]'::lseg \p (1,2)
-- enum
SELECT mood, mood > 'fine' FROM samples ORDER BY id
SELECT $1::mood \p glad
SELECT 'angry'::mood \e 22P02
-- xml and money
SELECT path, money FROM samples ORDER BY id
SELECT $1::xml, $2::money \p <a/> \p 12.5
-- rows
SELECT ROW(1, 'a', NULL), ROW(ROW(1), ARRAY[2])
SELECT c FROM countries c ORDER BY code
SELECT p FROM people p WHERE name = 'ada'
-- text search
SELECT to_tsvector('simple', 'a b a'), to_tsquery('simple', 'a & b')
-- oid and others
SELECT 1::oid, 'pg_class'::regclass, 'int4'::regtype, '(0,1)'::tid, '0/16B3748'::pg_lsn, 'x'::"char"
-- void and records
SELECT pg_sleep(0)
SELECT * FROM json_to_record('{"a": 1, "b": "x"}') AS r (a int, b text)
-- sharded columns of every type
SELECT * FROM devices WHERE id = '11111111-2222-3333-4444-555555555555'
SELECT * FROM devices WHERE id = $1 \p ffffffff-ffff-ffff-ffff-ffffffffffff
SELECT tags, raw, seen, data FROM devices
-- large values
SELECT repeat('x', 100000) AS big
SELECT repeat($1, 50000) AS big, length(repeat($1, 50000)) \p ü
SELECT g, repeat('y', 1000) FROM generate_series(1, 300) g
-- many columns
SELECT 1 a, 2 b, 3 c, 4 d, 5 e, 6 f, 7 g, 8 h, 9 i, 10 j, 11 k, 12 l, 13 m, 14 n, 15 o, 16 p, 17 q, 18 r, 19 s, 20 t
-- parameters written
INSERT INTO samples (id, exact, words, bytes, tree, numbers, moment_zone) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING * \p 9 \p 1.50 \p wörter \p \xff00 \p {"x": 1} \p {3,4} \p 2024-01-01 00:00+05
