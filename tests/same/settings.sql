--- SET, SHOW, RESET and DISCARD.
-- show
SHOW DateStyle
SHOW server_encoding
SHOW transaction_isolation
SHOW max_identifier_length
-- set and show
SET work_mem = '5MB'
SHOW work_mem
-- set, then a sharded read
SET DateStyle = 'SQL, DMY'
SELECT joined FROM customers WHERE id = 7
SELECT joined FROM customers WHERE id = 99
SELECT id, joined FROM customers WHERE active
-- set time zone
SET TIME ZONE 'Asia/Tokyo'
SELECT placed FROM orders WHERE customer_id = 7 ORDER BY number
SELECT placed FROM orders WHERE customer_id = 99
SHOW TimeZone
-- set interval style
SET IntervalStyle = 'iso_8601'
SELECT seen FROM devices WHERE id = '11111111-2222-3333-4444-555555555555'
-- set extra digits and bytea
SET extra_float_digits = -5
SET bytea_output = 'escape'
SELECT raw FROM devices
SELECT code, area / 3 FROM countries ORDER BY 1
-- set local
BEGIN
SET LOCAL TIME ZONE 'UTC'
SELECT placed FROM orders WHERE customer_id = 7 AND number = 1
COMMIT
SHOW TimeZone
-- set local outside
SET LOCAL work_mem = '5MB'
-- set rolled back
BEGIN
SET DateStyle = 'German'
SELECT joined FROM customers WHERE id = 7
ROLLBACK
SELECT joined FROM customers WHERE id = 7
SHOW DateStyle
-- set to savepoint
BEGIN
SET DateStyle = 'German'
SAVEPOINT s
SET DateStyle = 'Postgres'
ROLLBACK TO s
SHOW DateStyle
COMMIT
SHOW DateStyle
-- reset
SET DateStyle = 'German'
RESET DateStyle
SHOW DateStyle
-- set to default
SET work_mem = '5MB'
SET work_mem TO DEFAULT
SHOW work_mem
-- search_path
SET search_path = pg_catalog
SELECT name FROM public.customers WHERE id = 7
SHOW search_path
SELECT count(*) FROM customers \e 42P01 \refused
-- search_path and back
SET search_path TO nosuch, public
SELECT name FROM customers WHERE id = 7
SELECT name FROM customers WHERE id = 99
-- application_name
SET application_name = 'another'
SHOW application_name
SELECT name FROM customers WHERE id = 7
-- own settings
SET my.own = 'x'
SHOW my.own
SELECT current_setting('my.own')
-- set_config
SELECT set_config('my.own', 'y', false)
SELECT current_setting('my.own')
-- no such setting
SET nosuch = 1 \e 42704
SHOW nosuch \e 42704
SET work_mem = 'x' \e 22023
SELECT name FROM customers WHERE id = 7
-- role
SET ROLE app
SELECT current_user, session_user
RESET ROLE
SET ROLE nosuch \e 22023
-- session authorization
SET SESSION AUTHORIZATION app
SELECT current_user
SET SESSION AUTHORIZATION DEFAULT
SET SESSION AUTHORIZATION postgres \e 42501
-- client encoding
SET client_encoding = 'LATIN1'
SELECT 'a' || chr(233)
SHOW client_encoding
RESET client_encoding
-- names
SET NAMES 'UTF8'
SHOW client_encoding
-- standard_conforming_strings
SET standard_conforming_strings = off
SELECT key FROM settings WHERE key = 'a\nb'
SELECT name FROM people WHERE name = 'ada'
SET standard_conforming_strings = on
SELECT name FROM people WHERE name = 'back\slash'
-- statement timeout
SET statement_timeout = 1
SELECT pg_sleep(5) \e 57014
RESET statement_timeout
SELECT name FROM customers WHERE id = 7
-- discard
DISCARD PLANS
DISCARD SEQUENCES
DISCARD TEMP
-- discard all in a block
BEGIN
DISCARD ALL \e 25001
ROLLBACK
-- set in a failed block
BEGIN
SELECT 1 / 0 \e 22012
SET DateStyle = 'German' \e 25P02
ROLLBACK
SHOW DateStyle
