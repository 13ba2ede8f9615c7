--- Several keys: IN, ANY, OR, BETWEEN, rows.
-- in one
SELECT name FROM customers WHERE id IN (7)
-- in several
SELECT name FROM customers WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8)
-- in with duplicates and null
SELECT name FROM customers WHERE id IN (7, 7, NULL)
-- in with parameters
SELECT name FROM customers WHERE id IN ($1, $2, 3) \p 1 \p 2
-- in quoted
SELECT name FROM customers WHERE id IN ('1', '2')
-- not in
SELECT name FROM customers WHERE id NOT IN (1, 2, 3)
-- not in with null
SELECT name FROM customers WHERE id NOT IN (1, NULL)
-- any of an array literal
SELECT name FROM customers WHERE id = ANY ('{1,2,7}')
-- any of a constructor
SELECT name FROM customers WHERE id = ANY (ARRAY[1, 2, 7])
-- any of a parameter
SELECT name FROM customers WHERE id = ANY ($1) \p {1,5,9}
-- any of a parameter with null
SELECT name FROM customers WHERE id = ANY ($1) \p {1,NULL,9}
-- any of an empty array
SELECT name FROM customers WHERE id = ANY ($1) \p {}
SELECT name FROM customers WHERE id = ANY ('{}')
-- any of null
SELECT name FROM customers WHERE id = ANY ($1) \p NULL
-- all
SELECT name FROM customers WHERE id <> ALL ($1) \p {1,2,3}
-- or
SELECT name FROM customers WHERE id = 1 OR id = 2 OR id = 16
-- or with another column
SELECT name FROM customers WHERE id = 1 OR country = 'IT'
-- and of lists
SELECT name FROM customers WHERE id IN (1, 2, 3) AND id IN (3, 4, 5)
-- between
SELECT name FROM customers WHERE id BETWEEN 3 AND 6
SELECT name FROM customers WHERE id BETWEEN $1 AND $2 \p 45 \p 150
-- between of nothing
SELECT name FROM customers WHERE id BETWEEN 6 AND 3
-- between symmetric
SELECT name FROM customers WHERE id BETWEEN SYMMETRIC 6 AND 3 \refused
-- not between
SELECT name FROM customers WHERE id NOT BETWEEN 3 AND 100
-- inequalities
SELECT name FROM customers WHERE id > 15
SELECT name FROM customers WHERE id >= 50 AND id < 100
SELECT name FROM customers WHERE id < 50
SELECT name FROM customers WHERE id <= 49
SELECT name FROM customers WHERE id >= 49 AND id <= 50
SELECT name FROM customers WHERE 100 <= id
SELECT name FROM customers WHERE id <> 7
-- inequalities beyond the type
SELECT name FROM customers WHERE id > 9223372036854775807
SELECT name FROM customers WHERE id < 99999999999999999999
SELECT name FROM cities WHERE zone > 99 AND zone < 99999999999
-- inequalities with fractions
SELECT name FROM cities WHERE zone > 99.5
SELECT name FROM cities WHERE zone < 99.5
-- row value
SELECT hits FROM pages WHERE (site, path) = ('a', '/b')
SELECT hits FROM pages WHERE (path, site) = ('/b', 'a')
SELECT hits FROM pages WHERE (site, path) = ($1, $2) \p b \p /
-- rows in a list
SELECT hits FROM pages WHERE (site, path) IN (('a', '/'), ('zoo', '/z'), ('a', '/b'))
-- row inequalities
SELECT site, hits FROM pages WHERE (site, path) >= ('m', '')
-- a part of the key
SELECT hits FROM pages WHERE site = 'a'
SELECT hits FROM pages WHERE path = '/'
-- lists for both parts
SELECT hits FROM pages WHERE site IN ('a', 'b') AND path IN ('/', '/b')
-- is not distinct from
SELECT name FROM customers WHERE id IS NOT DISTINCT FROM 7
-- is null
SELECT name FROM customers WHERE id IS NULL
-- is not null
SELECT name FROM customers WHERE id IS NOT NULL
-- in a subquery of values
SELECT name FROM customers WHERE id IN (VALUES (1), (7))
