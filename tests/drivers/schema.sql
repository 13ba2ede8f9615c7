CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, balance numeric(12, 2) NOT NULL DEFAULT 0, joined timestamptz, tags text[]);
CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL, item text, qty int, PRIMARY KEY (customer_id, id));
CREATE TYPE mood AS ENUM ('sad', 'fine', 'glad');
CREATE TABLE log (worker int, n int, note text, data bytea, doc jsonb, feeling mood, feelings mood[]);
