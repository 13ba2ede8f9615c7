--- Tables and other objects of the home shard.
-- create and drop
CREATE TABLE fresh (id int PRIMARY KEY, t text DEFAULT 'd')
INSERT INTO fresh (id) VALUES (1), (2)
SELECT * FROM fresh ORDER BY id
DROP TABLE fresh
-- create twice
CREATE TABLE fresh (id int)
CREATE TABLE fresh (id int) \e 42P07
CREATE TABLE IF NOT EXISTS fresh (id int)
DROP TABLE fresh
DROP TABLE fresh \e 42P01
DROP TABLE IF EXISTS fresh
-- in a block
BEGIN
CREATE TABLE fresh (id int)
INSERT INTO fresh VALUES (1)
ALTER TABLE fresh ADD COLUMN t text DEFAULT 'x'
SELECT * FROM fresh
ROLLBACK
SELECT * FROM fresh \e 42P01
-- alter
CREATE TABLE fresh (id int)
ALTER TABLE fresh ADD COLUMN name text
ALTER TABLE fresh RENAME COLUMN name TO title
INSERT INTO fresh VALUES (1, 'x')
SELECT * FROM fresh
ALTER TABLE fresh ALTER COLUMN id TYPE bigint
SELECT * FROM fresh
DROP TABLE fresh
-- create as
CREATE TABLE fresh AS SELECT key, value FROM settings
SELECT * FROM fresh ORDER BY key
DROP TABLE fresh
-- select into
SELECT key, value INTO fresh FROM settings
SELECT count(*) FROM fresh
DROP TABLE fresh
-- create as of a sharded table
CREATE TABLE fresh AS SELECT * FROM customers \refused
DROP TABLE fresh
-- index
BEGIN
CREATE INDEX fresh_index ON settings (value)
DROP INDEX fresh_index \refused
-- index of a sharded table
CREATE INDEX fresh_index ON customers (name) \refused
DROP INDEX fresh_index
-- sequence
CREATE SEQUENCE fresh START 5
SELECT nextval('fresh'), nextval('fresh')
DROP SEQUENCE fresh
-- view
CREATE VIEW fresh AS SELECT upper(key) AS k FROM settings
SELECT * FROM fresh ORDER BY 1
DROP VIEW fresh
-- view of a sharded table
CREATE VIEW fresh AS SELECT * FROM customers \refused
DROP VIEW fresh
-- temporary table
CREATE TEMP TABLE fresh (id int) ON COMMIT PRESERVE ROWS
INSERT INTO fresh VALUES (1), (2)
SELECT sum(id) FROM fresh
SELECT name FROM customers WHERE id = 7
DROP TABLE fresh
-- a temporary table that shadows
CREATE TEMP TABLE settings (x int)
SELECT * FROM settings
INSERT INTO settings VALUES (5)
SELECT * FROM settings
DROP TABLE settings
SELECT count(*) FROM settings
-- a temporary table that shadows a sharded one
CREATE TEMP TABLE people (x int) \refused
INSERT INTO people VALUES (5)
DROP TABLE people
-- alter of a sharded table
BEGIN
ALTER TABLE customers ADD COLUMN extra int \refused
-- drop of a sharded table
BEGIN
DROP TABLE order_items \refused
-- drop of a reference table
BEGIN
DROP TABLE countries \refused
-- comment, grant
COMMENT ON TABLE settings IS 'x' \refused
COMMENT ON TABLE settings IS NULL
GRANT SELECT ON settings TO PUBLIC
REVOKE SELECT ON settings FROM PUBLIC
-- functions and types
BEGIN
CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1' \refused
-- type
BEGIN
CREATE TYPE fresh AS (a int) \refused
-- schema
CREATE SCHEMA fresh
DROP SCHEMA fresh \refused
-- analyze and vacuum
ANALYZE settings
VACUUM settings
VACUUM ANALYZE settings
-- vacuum in a block
BEGIN
VACUUM settings \e 25001
ROLLBACK
-- errors
CREATE TABLE fresh (id nosuch) \e 42704
CREATE TABLE fresh (id int, id int) \e 42701
ALTER TABLE settings DROP COLUMN nosuch \e 42703
DROP TABLE nosuch \e 42P01
-- materialized view
BEGIN
CREATE MATERIALIZED VIEW fresh_stored AS SELECT count(*) AS n FROM settings
REFRESH MATERIALIZED VIEW fresh_stored \refused
ROLLBACK
