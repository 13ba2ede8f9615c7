--- BEGIN to COMMIT on one shard.
-- commit
BEGIN
INSERT INTO customers (id, name) VALUES (600, 'in a block')
SELECT name FROM customers WHERE id = 600
COMMIT
SELECT name FROM customers WHERE id = 600
-- rollback
BEGIN
UPDATE customers SET name = 'x' WHERE id = 7
SELECT name FROM customers WHERE id = 7
ROLLBACK
SELECT name FROM customers WHERE id = 7
-- empty
BEGIN
COMMIT
-- empty and rolled back
BEGIN
ROLLBACK
-- end and abort
BEGIN
DELETE FROM people WHERE name = 'ada'
ABORT
BEGIN
DELETE FROM people WHERE name = 'bob'
END
-- start transaction
START TRANSACTION
DELETE FROM people WHERE name = 'ada'
COMMIT WORK
-- reads of several shards, then a write
BEGIN
SELECT id FROM customers WHERE active
SELECT name FROM customers WHERE id = 1
SELECT name FROM customers WHERE id = 99
UPDATE customers SET name = 'x' WHERE id = 7
COMMIT
-- a write, then reads of several shards
BEGIN
UPDATE customers SET country = 'ZZ' WHERE id = 7
SELECT id, country FROM customers WHERE country = 'ZZ'
SELECT name FROM customers WHERE id = 99
SELECT name FROM customers WHERE id = 1
COMMIT
-- a second writing shard
BEGIN
UPDATE cities SET name = 'a' WHERE zone = -5
UPDATE cities SET name = 'b' WHERE zone = 101 \refused-range
UPDATE cities SET name = 'c' WHERE zone = 42 \refused-hash
COMMIT
-- writes of one key only
BEGIN
INSERT INTO orders (customer_id, number) VALUES (7, 40)
INSERT INTO order_items (customer_id, number, line, sku) VALUES (7, 40, 1, 'a')
UPDATE customers SET balance = 0 WHERE id = 7
DELETE FROM order_items WHERE customer_id = 7 AND number = 40
COMMIT
-- failed block
BEGIN
UPDATE customers SET name = 'x' WHERE id = 7
SELECT 1 / 0 \e 22012
SELECT 1 \e 25P02
SELECT name FROM customers WHERE id = 99 \e 25P02
SELECT id FROM customers \e 25P02
COMMIT
SELECT name FROM customers WHERE id = 7
-- failed block, rolled back
BEGIN
INSERT INTO customers (id, name) VALUES (7, 'x') \e 23505
UPDATE customers SET name = 'x' WHERE id = 7 \e 25P02
ROLLBACK
SELECT name FROM customers WHERE id = 7
-- failed at the first statement
BEGIN
SELECT * FROM nosuch \e 42P01
SELECT 1 \e 25P02
END
-- failed in a scatter
BEGIN
SELECT 1 / (id - 7) FROM customers WHERE id BETWEEN 1 AND 40 \e 22012
SELECT 1 \e 25P02
ROLLBACK
-- begin twice
BEGIN
BEGIN
UPDATE customers SET name = 'x' WHERE id = 7
BEGIN
COMMIT
-- commit outside
COMMIT
ROLLBACK
END
-- and chain
BEGIN
UPDATE customers SET name = 'x' WHERE id = 7
COMMIT AND CHAIN
UPDATE customers SET name = 'y' WHERE id = 7
ROLLBACK AND CHAIN
SELECT name FROM customers WHERE id = 7
COMMIT AND NO CHAIN
-- and chain outside
COMMIT AND CHAIN \e 25P01
ROLLBACK AND CHAIN \e 25P01
-- and chain of an empty block
BEGIN
COMMIT AND CHAIN
SELECT 1
COMMIT
-- and chain keeps the modes
BEGIN ISOLATION LEVEL SERIALIZABLE
SELECT name FROM customers WHERE id = 7
COMMIT AND CHAIN
SHOW transaction_isolation
ROLLBACK
-- commit of a failed block
BEGIN
SELECT 1 / 0 \e 22012
COMMIT AND CHAIN
SELECT 1
COMMIT
