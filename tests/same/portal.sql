--- Portals and their rows, so many at a time.
-- a few at a time
SELECT number, total FROM orders WHERE customer_id = 7 ORDER BY number \max 1
SELECT number, total FROM orders WHERE customer_id = 7 ORDER BY number \max 2
SELECT number, total FROM orders WHERE customer_id = 7 ORDER BY number \max 3
SELECT number, total FROM orders WHERE customer_id = 7 ORDER BY number \max 4
-- once
SELECT number FROM orders WHERE customer_id = 7 ORDER BY number \once 2
-- more than there are
SELECT key FROM settings ORDER BY key \max 100
-- a local table
SELECT key FROM settings ORDER BY key \max 3
-- no rows
SELECT key FROM settings WHERE false \max 3
-- an update
UPDATE customers SET name = 'x' WHERE id = 7 \max 1
-- an insert returning
INSERT INTO orders (customer_id, number) VALUES (7, 91), (7, 92) RETURNING number \max 1
-- named portals
BEGIN
> parse s: SELECT number FROM orders WHERE customer_id = 7 ORDER BY number ;; bind p s ;; execute p 1 ;; sync
> execute p 1 ;; sync
> execute p ;; sync
> execute p ;; sync
COMMIT
-- two portals by turns
BEGIN
> parse s: SELECT number FROM orders WHERE customer_id = $1 ORDER BY number ;; bind p s 7 ;; bind q s 99 ;; execute p 2 ;; execute q 1 ;; execute p 2 ;; sync
COMMIT
-- closed
BEGIN
> parse s: SELECT key FROM settings ORDER BY key ;; bind p s ;; execute p 1 ;; close P p ;; sync
> execute p 1 ;; sync \e 34000
ROLLBACK
-- gone at the end of the transaction
> parse s: SELECT key FROM settings ORDER BY key ;; bind p s ;; execute p 1 ;; sync
> execute p 1 ;; sync \e 34000
-- gone at commit
BEGIN
> parse s: SELECT key FROM settings ORDER BY key ;; bind p s ;; execute p 1 ;; sync
COMMIT
> execute p 1 ;; sync \e 34000
-- the same name twice
BEGIN
> parse s: SELECT 1 ;; bind p s ;; bind p s ;; sync \e 42P03
ROLLBACK
-- unnamed, bound again
> parse s: SELECT key FROM settings ORDER BY key ;; bind - s ;; execute - 1 ;; bind - s ;; execute - 2 ;; sync
-- no such portal
> execute nosuch ;; sync \e 34000
> describe P nosuch ;; sync \e 34000
-- described
> parse s: SELECT id, name FROM customers WHERE id = 7 ;; bind p s ;; describe P p ;; execute p ;; sync
-- executed twice
> parse s: SELECT 1 ;; bind p s ;; execute p ;; execute p ;; sync
-- a write executed twice
> parse s: UPDATE customers SET balance = 1 WHERE id = 7 ;; bind p s ;; execute p ;; execute p ;; sync \e 55000
-- over all shards
BEGIN
> parse s: SELECT zone FROM cities ;; bind p s ;; execute p ;; sync
COMMIT
-- after a flush
> parse s: SELECT key FROM settings ORDER BY key ;; flush ;; bind - s ;; flush ;; execute - ;; flush ;; sync
-- a cursor in a transaction
BEGIN
DECLARE c CURSOR FOR SELECT key FROM settings ORDER BY key
FETCH c
FETCH 2 FROM c
MOVE 1 FROM c
FETCH ALL FROM c
CLOSE c
COMMIT
-- a cursor that scrolls
BEGIN
DECLARE c SCROLL CURSOR FOR SELECT key FROM settings ORDER BY key
FETCH LAST FROM c
FETCH PRIOR FROM c
FETCH ABSOLUTE 1 FROM c
FETCH RELATIVE 2 FROM c
ROLLBACK
-- a cursor outside
DECLARE c CURSOR FOR SELECT 1 \e 25P01
FETCH c \e 34000
CLOSE c \e 34000
-- a cursor with hold
BEGIN
DECLARE c CURSOR WITH HOLD FOR SELECT key FROM settings ORDER BY key
COMMIT
FETCH 2 FROM c
CLOSE c
-- a cursor over a sharded table
BEGIN
DECLARE c CURSOR FOR SELECT name FROM customers WHERE id = 7 \refused
