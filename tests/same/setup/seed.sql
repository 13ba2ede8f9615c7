-- The rows before every case.
DELETE FROM order_items; DELETE FROM orders; DELETE FROM customers; DELETE FROM pages; DELETE FROM people;
DELETE FROM cities; DELETE FROM slots; DELETE FROM devices; DELETE FROM countries; DELETE FROM settings;
DELETE FROM audit; DELETE FROM samples; DELETE FROM tickets;
INSERT INTO customers SELECT i, 'customer ' || i, (ARRAY['FR', 'DE', 'IT', NULL, 'xx'])[1 + i % 5],
    date '2020-01-01' + i::int * 37, (i * 7919 % 1000)::numeric / 4, CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END
    FROM generate_series(1, 20) i;
INSERT INTO customers VALUES (-1, 'minus one', 'FR', NULL, NULL, NULL), (0, 'nought', NULL, 'infinity', 0.05, true),
    (99, 'ninety-nine', 'DE', '1999-12-31', -17.5, false), (100, 'hundred', 'IT', '2000-02-29', 100, true),
    (9223372036854775807, 'last', 'FR', '-infinity', 9999999999.99, true),
    (-9223372036854775808, 'first', 'DE', '4713-01-01 BC', -9999999999.99, false);
INSERT INTO orders SELECT c, n, c * 10 + n, CASE n WHEN 1 THEN 'first' WHEN 2 THEN NULL ELSE 'more' END,
    timestamptz '2024-02-29 12:00:00+00' + c * interval '1 day' + n * interval '1.5 s'
    FROM generate_series(1, 15) c, generate_series(1, 3) n WHERE n <= c % 4;
INSERT INTO orders VALUES (99, 1, 0, '', '2000-01-01 00:00:00+14'), (9223372036854775807, 2147483647, 99999999.99, 'far', 'infinity');
INSERT INTO order_items SELECT customer_id, number, l, 'sku' || l, l * 2 FROM orders, generate_series(1, 2) l
    WHERE customer_id < 10;
INSERT INTO pages VALUES ('a', '/', 1), ('a', '/b', 2), ('b', '/', 3), ('example.org', '/index', 4), ('m', '', 5),
    ('münchen.de', '/straße', 6), ('zoo', '/z', NULL), ('', '', 8), ('it''s', '/q?x=''1''', 9);
INSERT INTO people VALUES ('ada', 36), ('Ada', 37), ('bob', NULL), ('', 0), ('m', 1), ('zoë', 23), ('Ωmega', 99),
    ('日本', 5), ('😀 smile', 7), ('o''neil', 50), ('back\slash', 51), (' lead', 52), ('trail ', 53);
INSERT INTO cities VALUES (-5, 'below', NULL), (0, 'zero', '(0,0)'), (42, 'middle', '(1.5,-2)'), (99, 'edge', NULL),
    (100, 'cut', '(100,100)'), (101, 'above', NULL), (2147483647, 'max', NULL);
INSERT INTO slots VALUES (-32768, true), (-1, false), (0, NULL), (1, true), (32767, false);
INSERT INTO devices VALUES
    ('00000000-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL),
    ('11111111-2222-3333-4444-555555555555', '{"a": [1, 2, {"b": null}]}', '{x,"y z",NULL}', '\x00ff', '1 year 2 mons -3 days'),
    ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '[]', '{}', '\x', '-00:00:01.5'),
    ('ffffffff-ffff-ffff-ffff-ffffffffffff', '"text"', '{"","null"}', '\xdeadbeef', '0');
INSERT INTO countries VALUES ('FR', 'France', 643801), ('DE', 'Germany', 357022.5), ('IT', 'Italy', 301340), ('AT', 'Austria', NULL);
INSERT INTO settings VALUES ('color', 'red'), ('size', '10'), ('empty', ''), ('nothing', NULL);
INSERT INTO audit VALUES (1, 'ada', '2024-01-01 00:00:00+00'), (2, 'bob', NULL);
INSERT INTO samples VALUES
    (1, 1, 1, 1, 1, 1, true, 'a', 'a', 'a', '\x61', '2024-02-29', '12:34:56.789', '12:34:56+02', '2024-02-29 12:34:56.789012',
     '2024-02-29 12:34:56.789012+02', '1 day 02:03:04.5', '{"a":  1, "a": 2}', '{"b": 1, "a": [1.50, null]}',
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', B'1011', '{1,NULL,3}',
     '{a,"b c","",NULL,"q\"q"}', '{{1,2},{3,4}}', '[1,5)', '(1.5,2.5)', 'fine', '<a>1</a>', '12.34'),
    (2, -32768, -9223372036854775808, -0.000000000000000000001, '-infinity', 'nan', false, '', '', 'ünïcödé 日本 😀', '\x', 'infinity',
     '24:00', '00:00-12', '-infinity', '4714-11-24 00:00:00+00 BC', '-1 mon', '[]', 'null', '00000000-0000-0000-0000-000000000000',
     '::1', '::/0', 'ff:ff:ff:ff:ff:ff', B'', '{}', '{}', '{}', 'empty', '(0,0)', 'sad', '<b/>', '-0.01'),
    (3, 32767, 9223372036854775807, 'NaN', 3.4028235e38, 1e-300, NULL, 'ab cd', 'ten chars!', E'line\nbreak\ttab', '\x000102ff',
     '0001-01-01', '00:00', '23:59:59.999999+00', '294276-12-31 23:59:59.999999', '1970-01-01', '999 years', '"x"', '{}', NULL,
     '0.0.0.0', '0.0.0.0/0', NULL, B'1', '[2:3]={7,8}', '{null,"NULL"}', '{{{1}}}', '(,5]', NULL, 'glad', NULL, '1000000');
INSERT INTO samples (id) VALUES (4);
INSERT INTO tickets VALUES (1000, 'seeded');
SELECT setval('numbers', 1, false), setval('audit_id_seq', 100, false);
