--- Reference tables: the same on every shard, read on one.
-- all
SELECT * FROM countries
-- ordered
SELECT code, name FROM countries ORDER BY name DESC
-- one
SELECT name FROM countries WHERE code = 'FR'
SELECT name FROM countries WHERE code = $1 \p AT
-- aggregates
SELECT count(*), sum(area), max(name) FROM countries
-- grouped
SELECT area IS NULL, count(*) FROM countries GROUP BY 1 ORDER BY 1
-- limit
SELECT code FROM countries ORDER BY code LIMIT 2 OFFSET 1
SELECT code FROM countries ORDER BY code LIMIT $1 \p 1
-- with a local table of home
SELECT s.key, c.name FROM settings s CROSS JOIN countries c ORDER BY 1, 2 LIMIT 5
-- with a local table of another shard
SELECT a.who, c.code FROM audit a CROSS JOIN countries c ORDER BY 1, 2
-- with itself
SELECT a.code, b.code FROM countries a JOIN countries b ON a.area > b.area ORDER BY 1, 2
-- union with values
SELECT code FROM countries UNION SELECT 'ZZ' ORDER BY 1
-- subquery
SELECT code FROM countries WHERE area = (SELECT max(area) FROM countries)
-- float results
SELECT code, area, area / 3 FROM countries ORDER BY code
-- writes
INSERT INTO countries VALUES ('ES', 'Spain', 505990) \refused
-- update
UPDATE countries SET area = 1 WHERE code = 'AT' \refused
-- delete
DELETE FROM countries WHERE code = 'AT' \refused
