--- Modes of transactions.
-- read only
BEGIN READ ONLY
SELECT name FROM customers WHERE id = 7
UPDATE customers SET name = 'x' WHERE id = 7 \e 25006
ROLLBACK
-- read only, then a local write
START TRANSACTION READ ONLY
INSERT INTO settings VALUES ('a', 'b') \e 25006
COMMIT
-- read write
BEGIN READ WRITE
UPDATE customers SET name = 'x' WHERE id = 7
COMMIT
-- isolation levels
BEGIN ISOLATION LEVEL READ COMMITTED
SHOW transaction_isolation
COMMIT
BEGIN ISOLATION LEVEL REPEATABLE READ
SHOW transaction_isolation
COMMIT
BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE
SHOW transaction_isolation
SHOW transaction_read_only
SHOW transaction_deferrable
COMMIT
-- repeatable read on one shard
BEGIN ISOLATION LEVEL REPEATABLE READ
SELECT name FROM customers WHERE id = 7
UPDATE customers SET name = 'x' WHERE id = 7
SELECT name FROM customers WHERE id = 7
COMMIT
-- repeatable read on two shards
BEGIN ISOLATION LEVEL REPEATABLE READ
SELECT name FROM cities WHERE zone = -5
SELECT name FROM cities WHERE zone = 101 \refused-range
SELECT name FROM cities WHERE zone = 42 \refused-hash
COMMIT
-- serializable over all
BEGIN ISOLATION LEVEL SERIALIZABLE
SELECT name FROM cities \refused
COMMIT
-- set transaction
BEGIN
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
SHOW transaction_isolation
SELECT name FROM customers WHERE id = 7
COMMIT
-- set transaction read only
BEGIN
SET TRANSACTION READ ONLY
UPDATE customers SET name = 'x' WHERE id = 7 \e 25006
ROLLBACK
-- set transaction too late
BEGIN
SELECT name FROM customers WHERE id = 7
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE \e 25001
ROLLBACK
-- set transaction outside
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
-- modes that contradict
BEGIN READ ONLY, READ WRITE
SHOW transaction_read_only
ROLLBACK
-- defaults of the session
SET default_transaction_isolation = 'serializable'
SHOW transaction_isolation
BEGIN
SHOW transaction_isolation
COMMIT
-- read only by default
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
UPDATE customers SET name = 'x' WHERE id = 7 \e 25006
SELECT name FROM customers WHERE id = 7
BEGIN READ WRITE
UPDATE customers SET name = 'x' WHERE id = 7
COMMIT
-- what is now within a block
BEGIN
SELECT now() = now()
SELECT now() = transaction_timestamp()
COMMIT
-- set local
BEGIN
SET LOCAL DateStyle = 'German'
SELECT joined FROM customers WHERE id = 7
COMMIT
SELECT joined FROM customers WHERE id = 7
