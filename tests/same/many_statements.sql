--- Strings of several statements.
-- selects [simple]
SELECT 1; SELECT 2; SELECT 3
-- of one key [simple]
SELECT name FROM customers WHERE id = 7; SELECT number FROM orders WHERE customer_id = 7 ORDER BY 1
-- of several shards [simple]
SELECT name FROM customers WHERE id = 1; SELECT name FROM customers WHERE id = 99; SELECT name FROM customers WHERE id = 7 \refused-range
-- direct and scatter [simple]
SELECT name FROM customers WHERE id = 7; SELECT id FROM customers WHERE active; SELECT key FROM settings ORDER BY 1 \refused
-- writes are one unit [simple]
UPDATE customers SET name = 'a' WHERE id = 7; UPDATE customers SET balance = 1 WHERE id = 7
UPDATE customers SET name = 'b' WHERE id = 7; SELECT 1 / 0; UPDATE customers SET balance = 2 WHERE id = 7 \e 22012
SELECT name, balance FROM customers WHERE id = 7
-- an error before a write [simple]
SELECT 1 / 0; UPDATE customers SET name = 'b' WHERE id = 7 \e 22012
-- a syntax error runs nothing [simple]
UPDATE customers SET name = 'b' WHERE id = 7; SELEC 1 \e 42601
-- a block inside [simple]
BEGIN; UPDATE customers SET name = 'a' WHERE id = 7; COMMIT; SELECT name FROM customers WHERE id = 7
-- a block that stays open [simple]
BEGIN; UPDATE customers SET name = 'a' WHERE id = 7
SELECT name FROM customers WHERE id = 7
ROLLBACK
-- a block that ends in the next string [simple]
BEGIN; UPDATE customers SET name = 'a' WHERE id = 7
UPDATE customers SET balance = 1 WHERE id = 7; COMMIT; SELECT name, balance FROM customers WHERE id = 7
-- a block of an implicit one [simple]
UPDATE customers SET name = 'a' WHERE id = 7; BEGIN; UPDATE customers SET balance = 1 WHERE id = 7
ROLLBACK
SELECT name FROM customers WHERE id = 7
-- commit inside an implicit one [simple]
UPDATE customers SET name = 'a' WHERE id = 7; COMMIT; UPDATE customers SET name = 'b' WHERE id = 7; SELECT 1 / 0 \e 22012
SELECT name FROM customers WHERE id = 7
-- rollback inside an implicit one [simple]
UPDATE customers SET name = 'a' WHERE id = 7; ROLLBACK; SELECT name FROM customers WHERE id = 7
-- a failed block and what comes behind it [simple]
BEGIN; SELECT 1 / 0; COMMIT \e 22012
SELECT 1 \e 25P02
ROLLBACK; SELECT 2
-- savepoints [simple]
BEGIN; SAVEPOINT s; UPDATE customers SET name = 'a' WHERE id = 7; ROLLBACK TO s; SELECT name FROM customers WHERE id = 7; COMMIT
-- savepoint in an implicit block [simple]
SAVEPOINT s; SELECT 1 \e 25P01
-- writes of two shards [simple]
UPDATE cities SET name = 'a' WHERE zone = -5; UPDATE cities SET name = 'b' WHERE zone = 101; UPDATE cities SET name = 'b' WHERE zone = 42; UPDATE cities SET name = 'b' WHERE zone = 100 \refused
-- a refusal undoes what came before [simple]
UPDATE customers SET name = 'a' WHERE id = 7; UPDATE customers SET active = true \refused
-- set [simple]
SET DateStyle = 'German'; SELECT joined FROM customers WHERE id = 7; RESET DateStyle; SELECT joined FROM customers WHERE id = 7 \refused
-- semicolons in quotes [simple]
SELECT 'a;b'; SELECT $$;$$; SELECT "key" FROM settings /* ; */ ORDER BY 1 -- ;
-- in the extended protocol [extended]
SELECT 1; SELECT 2 \e 42601
UPDATE customers SET name = 'a' WHERE id = 7; SELECT 2 \e 42601
-- a semicolon at the end
SELECT 1;
SELECT name FROM customers WHERE id = 7 ;
SELECT id FROM customers WHERE active ;
