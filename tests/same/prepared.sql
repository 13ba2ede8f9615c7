--- Statements that are prepared once and used again.
-- named, used again
> parse s: SELECT name FROM customers WHERE id = $1 ;; sync
> bind - s 1 ;; execute - ;; sync
> bind - s 99 ;; execute - ;; sync
> bind - s 7 ;; describe P - ;; execute - ;; sync
> bind - s NULL ;; execute - ;; sync
-- described
> parse s: SELECT id, name, balance FROM customers WHERE id = $1 AND name = $2 ;; describe S s ;; sync
> bind - s 7 | customer 7 ;; execute - ;; sync
-- described, no result
> parse s: UPDATE customers SET name = $2 WHERE id = $1 ;; describe S s ;; sync
> bind - s 7 | new ;; describe P - ;; execute - ;; sync
-- scattered
> parse s: SELECT id FROM customers WHERE country = $1 ;; describe S s ;; sync
> bind - s FR ;; execute - ;; sync
> bind - s DE ;; describe P - ;; execute - ;; sync
-- direct and scattered by value
> parse s: SELECT name FROM customers WHERE id = ANY ($1) ;; sync
> bind - s {7} ;; execute - ;; sync
> bind - s {1,7,99,100} ;; execute - ;; sync
> bind - s {} ;; execute - ;; sync
-- closed
> parse s: SELECT 1 ;; close S s ;; sync
> bind - s ;; execute - ;; sync \e 26000
-- closed twice
> close S nosuch ;; close P nosuch ;; sync
-- the same name twice
> parse s: SELECT 1 ;; sync
> parse s: SELECT 2 ;; sync \e 42P05
> bind - s ;; execute - ;; sync
-- closed and made again
> parse s: SELECT 1 AS a ;; close S s ;; parse s: SELECT 2 AS b ;; describe S s ;; bind - s ;; execute - ;; sync
-- no such statement
> bind - nosuch ;; execute - ;; sync \e 26000
> describe S nosuch ;; sync \e 26000
-- the right number of values
> parse s: SELECT name FROM customers WHERE id = $1 ;; sync
> bind - s 7 ;; execute - ;; sync
-- wrong value
> parse s: SELECT name FROM customers WHERE id = $1 ;; sync
> bind - s x ;; execute - ;; sync \e 22P02
> bind - s 7 ;; execute - ;; sync
-- two statements by turns
> parse a: SELECT name FROM customers WHERE id = $1 ;; parse b: SELECT number FROM orders WHERE customer_id = $1 ORDER BY 1 ;; sync
> bind - a 7 ;; execute - ;; bind - b 7 ;; execute - ;; bind - a 99 ;; execute - ;; sync
-- unnamed, replaced
> parse -: SELECT 1 AS a ;; parse -: SELECT 2 AS b ;; bind - - ;; describe P - ;; execute - ;; sync
-- unnamed, used in the next batch
> parse -: SELECT name FROM customers WHERE id = $1 ;; sync
> bind - - 7 ;; execute - ;; sync
> bind - - 99 ;; execute - ;; sync
-- unnamed, replaced after a failed parse
> parse -: SELECT 1 ;; sync
> parse -: SELEC ;; sync \e 42601
> parse -: SELECT 2 ;; sync
> bind - - ;; execute - ;; sync
-- empty
> parse s: ;; sync
> describe S s ;; bind - s ;; execute - ;; sync
-- after an error the rest is skipped
> parse s: SELECT 1 / $1::int ;; bind - s 0 ;; execute - ;; bind - s 1 ;; execute - ;; sync \e 22012
> bind - s 1 ;; execute - ;; sync
-- what was prepared before an error stays
> parse a: SELECT 1 ;; parse b: SELEC ;; parse c: SELECT 3 ;; sync \e 42601
> bind - a ;; execute - ;; sync
> bind - c ;; execute - ;; sync \e 26000
-- in a block
> parse s: SELECT name FROM customers WHERE id = $1 ;; parse u: UPDATE customers SET name = $2 WHERE id = $1 ;; sync
> parse -: BEGIN ;; bind - - ;; execute - ;; sync
> bind - u 7 | new ;; execute - ;; sync
> bind - s 7 ;; execute - ;; sync
> parse -: ROLLBACK ;; bind - - ;; execute - ;; sync
> bind - s 7 ;; execute - ;; sync
-- prepared in a block that fails
BEGIN
> parse s: SELECT 1 AS one ;; sync
SELECT 1 / 0 \e 22012
ROLLBACK
> bind - s ;; execute - ;; sync
-- deallocate
> parse s: SELECT 1 ;; sync
DEALLOCATE s
> bind - s ;; execute - ;; sync \e 26000
-- deallocate all
> parse s: SELECT 1 ;; sync
DEALLOCATE ALL
> bind - s ;; execute - ;; sync \e 26000
-- insert again and again
> parse i: INSERT INTO people VALUES ($1, $2) ;; describe S i ;; sync
> bind - i eve | 1 ;; execute - ;; sync
> bind - i mallory | 2 ;; execute - ;; sync
> bind - i eve | 3 ;; execute - ;; sync \e 23505
> bind - i zed | 4 ;; execute - ;; sync
-- insert without columns
> parse i: INSERT INTO orders VALUES ($1, $2, $3) RETURNING * ;; describe S i ;; sync
> bind - i 7 | 90 | 1.5 ;; describe P - ;; execute - ;; sync
> bind - i 99 | 90 | 1.5 ;; describe P - ;; execute - ;; sync
-- prepare in SQL [simple]
PREPARE p (bigint) AS SELECT key FROM settings ORDER BY key
EXECUTE p (1)
DEALLOCATE p
-- prepare in SQL over a sharded table
PREPARE p AS SELECT name FROM customers WHERE id = 7 \refused
-- refused at bind
> parse s: SELECT count(*) FROM customers WHERE id = ANY ($1) ;; sync
> bind - s {7} ;; execute - ;; sync
> bind - s {-5,1,2,3,4,5,99,100} ;; execute - ;; sync \refused
-- refused, and the statement stays
> parse s: SELECT name FROM customers WHERE id = ANY ($1) ORDER BY 1 ;; sync
> bind - s {7} ;; execute - ;; sync
