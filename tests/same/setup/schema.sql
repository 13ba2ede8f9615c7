-- What every case stands on. Sharded, reference and local tables: see tests/it/same/world.rs.
CREATE TABLE customers (
    id bigint PRIMARY KEY, name text NOT NULL, country text, joined date, balance numeric(12, 2) DEFAULT 0, active boolean
);
CREATE TABLE orders (
    customer_id bigint NOT NULL REFERENCES customers (id), number int NOT NULL, total numeric(10, 2) CHECK (total >= 0),
    note text, placed timestamptz, PRIMARY KEY (customer_id, number)
);
CREATE TABLE order_items (
    customer_id bigint NOT NULL, number int NOT NULL, line int NOT NULL, sku varchar(8) NOT NULL, quantity smallint DEFAULT 1,
    PRIMARY KEY (customer_id, number, line), FOREIGN KEY (customer_id, number) REFERENCES orders ON DELETE CASCADE
);
CREATE TABLE pages (site text NOT NULL, path varchar(20) NOT NULL, hits int, PRIMARY KEY (site, path));
CREATE TABLE people (name text PRIMARY KEY, age int);
CREATE TABLE cities (zone int PRIMARY KEY, name varchar(30), location point);
CREATE TABLE slots (slot smallint PRIMARY KEY, taken boolean);
CREATE TABLE devices (id uuid PRIMARY KEY, data jsonb, tags text[], raw bytea, seen interval);
CREATE TABLE countries (code text PRIMARY KEY, name text, area double precision);
CREATE TABLE settings (key text PRIMARY KEY, value text);
CREATE TABLE audit (id serial PRIMARY KEY, who text, at timestamptz);
CREATE TYPE mood AS ENUM ('sad', 'fine', 'glad');
CREATE TABLE samples (
    id int PRIMARY KEY, small smallint, big bigint, exact numeric, single real, twice double precision, truth boolean,
    chars char(5), chars2 varchar(10), words text, bytes bytea, day date, hour time, hour_zone timetz, moment timestamp,
    moment_zone timestamptz, span interval, document json, tree jsonb, identity uuid, address inet, network cidr, mac macaddr,
    bits bit varying(8), numbers int[], texts text[], grid int[][], spans int4range, spot point, mood mood, path xml, money money
);
CREATE SEQUENCE numbers;
CREATE TABLE tickets (id int PRIMARY KEY DEFAULT nextval('numbers'), what text);
CREATE FUNCTION double_of(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE PROCEDURE add_ticket(text) LANGUAGE sql AS 'INSERT INTO tickets (what) VALUES ($1)';
CREATE VIEW chosen AS SELECT key, upper(value) AS value FROM settings;
