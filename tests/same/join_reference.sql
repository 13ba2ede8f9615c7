--- Sharded tables with what is the same everywhere.
-- direct
SELECT c.name, k.name FROM customers c JOIN countries k ON k.code = c.country WHERE c.id = 1
SELECT c.name, k.name FROM customers c JOIN countries k ON k.code = c.country WHERE c.id = $1 \p 2
-- direct, left
SELECT c.name, k.name FROM customers c LEFT JOIN countries k ON k.code = c.country WHERE c.id = 3
-- direct, right
SELECT c.name, k.name FROM customers c RIGHT JOIN countries k ON k.code = c.country AND c.id = 1 ORDER BY 2
SELECT c.name, k.name FROM (SELECT * FROM customers WHERE id = 1) c RIGHT JOIN countries k ON k.code = c.country ORDER BY 2
-- scatter
SELECT c.name, k.name FROM customers c JOIN countries k ON k.code = c.country
-- scatter, left
SELECT c.name, k.name FROM customers c LEFT JOIN countries k ON k.code = c.country
-- scatter, reference first
SELECT c.name, k.name FROM countries k JOIN customers c ON k.code = c.country WHERE k.area > 400000
-- scatter, the reference is preserved
SELECT c.name, k.name FROM countries k LEFT JOIN customers c ON k.code = c.country \refused
-- scatter, full
SELECT c.name, k.name FROM countries k FULL JOIN customers c ON k.code = c.country \refused
-- cross
SELECT c.id, k.code FROM customers c CROSS JOIN countries k WHERE c.active
-- exists
SELECT name FROM customers c WHERE EXISTS (SELECT FROM countries k WHERE k.code = c.country)
SELECT name FROM customers c WHERE country NOT IN (SELECT code FROM countries)
-- the other way round
SELECT name FROM countries k WHERE EXISTS (SELECT FROM customers c WHERE c.country = k.code) \refused
SELECT name FROM countries k WHERE EXISTS (SELECT FROM customers c WHERE c.country = k.code AND c.id = 1)
-- scalar subquery on the reference
SELECT name, (SELECT k.name FROM countries k WHERE k.code = c.country) FROM customers c
-- values
SELECT c.name, v.x FROM customers c JOIN (VALUES (1, 'a'), (2, 'b'), (99, 'c')) v (id, x) ON v.id = c.id
-- generate_series
SELECT c.name, g FROM customers c JOIN generate_series(1, 5) g ON g = c.id
-- with a local table of the same shard or another
SELECT c.name, s.key FROM customers c CROSS JOIN settings s \refused
