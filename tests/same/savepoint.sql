--- Savepoints.
-- rolled back to
BEGIN
UPDATE customers SET name = 'a' WHERE id = 7
SAVEPOINT s
UPDATE customers SET name = 'b' WHERE id = 7
ROLLBACK TO s
SELECT name FROM customers WHERE id = 7
COMMIT
-- released
BEGIN
SAVEPOINT s
UPDATE customers SET name = 'b' WHERE id = 7
RELEASE s
COMMIT
SELECT name FROM customers WHERE id = 7
-- before anything
BEGIN
SAVEPOINT s
ROLLBACK TO SAVEPOINT s
RELEASE SAVEPOINT s
COMMIT
-- out of an error
BEGIN
UPDATE customers SET name = 'a' WHERE id = 7
SAVEPOINT s
SELECT 1 / 0 \e 22012
SELECT 1 \e 25P02
ROLLBACK TO s
SELECT name FROM customers WHERE id = 7
COMMIT
-- nested
BEGIN
SAVEPOINT a
INSERT INTO orders (customer_id, number) VALUES (7, 50)
SAVEPOINT b
INSERT INTO orders (customer_id, number) VALUES (7, 51)
ROLLBACK TO b
SAVEPOINT c
INSERT INTO orders (customer_id, number) VALUES (7, 52)
RELEASE a
COMMIT
-- the same name twice
BEGIN
SAVEPOINT s
UPDATE customers SET name = 'a' WHERE id = 7
SAVEPOINT s
UPDATE customers SET name = 'b' WHERE id = 7
ROLLBACK TO s
RELEASE s
ROLLBACK TO s
COMMIT
-- no such savepoint
BEGIN
SAVEPOINT s
ROLLBACK TO nosuch \e 3B001
ROLLBACK TO s
COMMIT
-- no such savepoint to release
BEGIN
RELEASE nosuch \e 3B001
COMMIT
-- outside a block
SAVEPOINT s \e 25P01
ROLLBACK TO s \e 25P01
RELEASE s \e 25P01
-- released in a failed block
BEGIN
SAVEPOINT s
SELECT 1 / 0 \e 22012
RELEASE s \e 25P02
SAVEPOINT t \e 25P02
ROLLBACK
-- a shard that comes later
BEGIN
SAVEPOINT s
UPDATE customers SET name = 'a' WHERE id = 7
ROLLBACK TO s
SELECT name FROM customers WHERE id = 7
SELECT name FROM customers WHERE id = 99
COMMIT
-- reads of two shards
BEGIN
SELECT name FROM cities WHERE zone = -5
SAVEPOINT s
SELECT name FROM cities WHERE zone = 101
SELECT 1 / 0 FROM cities WHERE zone = 101 \e 22012
ROLLBACK TO s
SELECT name FROM cities WHERE zone = 101
SELECT name FROM cities WHERE zone = -5
SELECT zone FROM cities
COMMIT
-- names in quotes
BEGIN
SAVEPOINT "My Point"
ROLLBACK TO "My Point"
ROLLBACK TO my_point \e 3B001
ROLLBACK
-- undone again and again
BEGIN
SAVEPOINT s
INSERT INTO people VALUES ('tmp', 1)
ROLLBACK TO s
INSERT INTO people VALUES ('tmp', 2)
ROLLBACK TO s
INSERT INTO people VALUES ('tmp', 3)
COMMIT
