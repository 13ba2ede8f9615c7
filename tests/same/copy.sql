--- COPY of local tables, and what is refused of others.
-- out
COPY settings TO STDOUT
-- out as csv
COPY settings TO STDOUT WITH (FORMAT csv, HEADER, NULL 'none')
COPY settings (value, key) TO STDOUT CSV
-- out of a query
COPY (SELECT key, length(value) FROM settings ORDER BY key) TO STDOUT
-- out of constants
COPY (VALUES (1, 'a'), (2, E'tab\there')) TO STDOUT
-- out as binary
COPY (SELECT 1, 'a'::text, NULL::int) TO STDOUT (FORMAT binary)
-- out of nothing
COPY (SELECT 1 WHERE false) TO STDOUT
-- out of another shard
COPY audit TO STDOUT \refused
-- in
COPY settings FROM STDIN \d a\tb \d c\t\N
SELECT * FROM settings ORDER BY key
-- in with columns
COPY settings (value, key) FROM STDIN \d b\ta
-- in as csv
COPY settings FROM STDIN WITH (FORMAT csv) \d "a,b",c \d d,""
-- in, nothing
COPY settings FROM STDIN
-- in, with the mark of the end
COPY settings FROM STDIN \d a\tb \d \.
-- in, failing in the middle
COPY settings FROM STDIN \d a\tb \d c \e 22P04
SELECT count(*) FROM settings
-- in, a duplicate
COPY settings FROM STDIN \d color\tblue \e 23505
SELECT value FROM settings WHERE key = 'color'
-- in, given up by the client
COPY settings FROM STDIN \d a\tb \fail \e 57014
SELECT count(*) FROM settings
-- in a block
BEGIN
COPY settings FROM STDIN \d a\tb
SELECT count(*) FROM settings
ROLLBACK
SELECT count(*) FROM settings
-- in a block that fails
BEGIN
COPY settings FROM STDIN \d a \e 22P04
SELECT 1 \e 25P02
COMMIT
-- no such table
COPY nosuch TO STDOUT \e 42P01
COPY nosuch FROM STDIN \e 42P01
SELECT name FROM customers WHERE id = 7
-- of a sharded table
COPY customers TO STDOUT \refused
-- into a sharded table
COPY people FROM STDIN \d neu\t1 \refused
-- of a query over a sharded table
COPY (SELECT name FROM customers WHERE id = 7) TO STDOUT \refused
-- of a reference table
COPY countries TO STDOUT \refused
-- into a reference table
COPY countries FROM STDIN \d XX\tx\t1 \refused
-- out, then more [simple]
COPY settings TO STDOUT; SELECT 1
-- in, then more [simple]
COPY settings FROM STDIN; SELECT count(*) FROM settings \d a\tb
-- many lines
COPY (SELECT g, repeat('x', 100) FROM generate_series(1, 500) g) TO STDOUT
