--- Sharding keys of every type and spelling.
-- text
SELECT age FROM people WHERE name = 'ada'
SELECT age FROM people WHERE name = 'Ada'
SELECT age FROM people WHERE name = 'ADA'
-- text by parameter
SELECT age FROM people WHERE name = $1 \p bob
SELECT age FROM people WHERE name = $1 \p zoë
SELECT age FROM people WHERE name = $1 \p Ωmega
SELECT age FROM people WHERE name = $1 \p 日本
SELECT age FROM people WHERE name = $1 \p 😀 smile
SELECT age FROM people WHERE name = $1 \p o'neil
-- text by literal
SELECT age FROM people WHERE name = 'zoë'
SELECT age FROM people WHERE name = 'zoe' || U&'\0308'
SELECT age FROM people WHERE name = U&'zo\00EB'
SELECT age FROM people WHERE name = E'zo\u00eb'
SELECT age FROM people WHERE name = E'\u65e5\u672c'
SELECT age FROM people WHERE name = '日本'
SELECT age FROM people WHERE name = '😀 smile'
-- quotes and backslashes
SELECT age FROM people WHERE name = 'o''neil'
SELECT age FROM people WHERE name = E'o\'neil'
SELECT age FROM people WHERE name = $$o'neil$$
SELECT age FROM people WHERE name = $q$o'neil$q$
SELECT age FROM people WHERE name = 'back\slash'
SELECT age FROM people WHERE name = E'back\\slash'
-- a literal in two parts
SELECT age FROM people WHERE name = 'a'
 'da' \refused
-- blanks count
SELECT age FROM people WHERE name = ' lead'
SELECT age FROM people WHERE name = 'lead'
SELECT age FROM people WHERE name = 'trail '
SELECT age FROM people WHERE name = 'trail'
-- empty text
SELECT age FROM people WHERE name = ''
-- text with other comparisons
SELECT age FROM people WHERE name > 'm'
SELECT age FROM people WHERE name >= 'a' AND name < 'c'
SELECT age FROM people WHERE name < 'm' COLLATE "C"
SELECT age FROM people WHERE name = 'ada' COLLATE "C"
SELECT name FROM people WHERE lower(name) = 'ada'
SELECT name FROM people WHERE name LIKE 'ada'
SELECT name FROM people WHERE name IN ('ada', 'Ada', '日本', 'nobody')
SELECT name FROM people WHERE name = ANY ($1) \p {ada,"o'neil","back\\\\slash",zoë}
-- two columns of texts
SELECT hits FROM pages WHERE site = 'münchen.de' AND path = '/straße'
SELECT hits FROM pages WHERE site = $1 AND path = $2 \p it's \p /q?x='1'
SELECT hits FROM pages WHERE path = '' AND site = 'm'
SELECT hits FROM pages WHERE site = '' AND path = ''
-- uuid
SELECT data FROM devices WHERE id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
SELECT data FROM devices WHERE id = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'
SELECT data FROM devices WHERE id = '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'
SELECT data FROM devices WHERE id = 'a0eebc999c0b4ef8bb6d6bb9bd380a11'
SELECT data FROM devices WHERE id = 'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11'
SELECT data FROM devices WHERE id = uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
SELECT data FROM devices WHERE id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid
-- uuid by parameter
SELECT data FROM devices WHERE id = $1 \p a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
SELECT data FROM devices WHERE id = $1 \p {A0EEBC999C0B4EF8BB6D6BB9BD380A11}
SELECT count(*) FROM devices WHERE id = ANY ($1) AND id = '00000000-0000-0000-0000-000000000000' \p {00000000-0000-0000-0000-000000000000}
-- uuid that is none
SELECT data FROM devices WHERE id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1' \e 22P02
SELECT data FROM devices WHERE id = $1 \p x \e 22P02
-- smallint
SELECT taken FROM slots WHERE slot = 1
SELECT taken FROM slots WHERE slot = 1::bigint
SELECT taken FROM slots WHERE slot = '-32768'
SELECT taken FROM slots WHERE slot = $1 \p -32768
SELECT taken FROM slots WHERE slot = ANY ($1) \p {-1,0,1}
SELECT slot FROM slots WHERE slot BETWEEN -1 AND 1
SELECT taken FROM slots WHERE slot = -32769
-- integer
SELECT name FROM cities WHERE zone = -5
SELECT name FROM cities WHERE zone IN (99, 100, 101)
SELECT name FROM cities WHERE zone = 4294967338
SELECT name FROM cities WHERE zone = +42
SELECT name FROM cities WHERE zone = (42)
SELECT name FROM cities WHERE zone = - -42
-- numbers with underscores and bases
SELECT name FROM cities WHERE zone = 0042
SELECT name FROM cities WHERE zone = 4.2e1
-- written and read again
INSERT INTO people VALUES ('ünïcödé 日本 😀', 1)
SELECT age FROM people WHERE name = 'ünïcödé 日本 😀'
UPDATE people SET age = 2 WHERE name = $1 \p ünïcödé 日本 😀
DELETE FROM people WHERE name = U&'\00FCn\00EFc\00F6d\00E9\0020\65E5\672C\0020\+01F600' RETURNING age \refused
