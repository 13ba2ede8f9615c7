--- Writes of rows of several shards.
-- update all
UPDATE customers SET active = true \refused
-- update by another column
UPDATE customers SET active = true WHERE country = 'FR' \refused
-- update of a list
UPDATE customers SET active = true WHERE id IN (1, 2, 3, 99, 100) \refused
-- update of a join
UPDATE orders o SET note = c.name FROM customers c WHERE c.id = o.customer_id \refused
-- delete all
DELETE FROM order_items \refused
-- delete by another column
DELETE FROM people WHERE age > 30 \refused
-- delete of a list
DELETE FROM cities WHERE zone IN (0, 42, 99, 100, 101) \refused
-- delete of a range
DELETE FROM cities WHERE zone > 50 \refused
-- truncate
TRUNCATE order_items \refused
-- truncate of a local table
TRUNCATE settings
-- merge
MERGE INTO people p USING (VALUES ('ada', 1)) v (name, age) ON p.name = v.name WHEN MATCHED THEN UPDATE SET age = v.age \refused
-- merge of a local table
MERGE INTO settings s USING (VALUES ('color', 'x'), ('new', 'y')) v (k, v) ON s.key = v.k
  WHEN MATCHED THEN UPDATE SET value = v.v WHEN NOT MATCHED THEN INSERT VALUES (v.k, v.v)
-- lock
BEGIN
LOCK TABLE customers \refused
-- lock of a local table
BEGIN
LOCK TABLE settings IN EXCLUSIVE MODE
COMMIT
-- in a block that has written
BEGIN
UPDATE customers SET name = 'x' WHERE id = 7
UPDATE customers SET active = true \refused
COMMIT
-- select for update of one key
BEGIN
SELECT name FROM customers WHERE id = 7 FOR UPDATE
SELECT name FROM customers WHERE id = 7 FOR NO KEY UPDATE NOWAIT
COMMIT
-- a range on one shard
UPDATE cities SET name = 'low' WHERE zone BETWEEN -10 AND 50 \refused-hash
