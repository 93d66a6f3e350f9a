-- 10 000 orders of 500 customers: index, joins, grouping, windows, recursion, updates and a rollback.
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT NOT NULL, region TEXT NOT NULL);
CREATE TABLE purchase(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer(id), cents INTEGER, day INTEGER, note TEXT);

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO customer SELECT i, printf('customer-%03d', i), substr('northsouthwest east ', (i % 4) * 5 + 1, 5) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
INSERT INTO purchase SELECT i, (i * 7919) % 500 + 1, (i * 104729) % 99991, (i * 31) % 365, hex(i * i % 65536) FROM n;

.mode list
SELECT count(*), sum(cents), min(day), max(day), avg(cents) FROM purchase;
EXPLAIN QUERY PLAN SELECT * FROM purchase WHERE customer = 42 ORDER BY day;
CREATE INDEX purchase_by_customer ON purchase(customer, day);
EXPLAIN QUERY PLAN SELECT * FROM purchase WHERE customer = 42 ORDER BY day;
SELECT id, cents, day, note FROM purchase WHERE customer = 42 ORDER BY day, id LIMIT 8;

SELECT region, count(DISTINCT c.id), count(*), sum(cents), round(avg(cents), 3)
  FROM customer c JOIN purchase p ON p.customer = c.id GROUP BY region ORDER BY region;
SELECT name, total, rank() OVER (ORDER BY total DESC, name) FROM
  (SELECT c.name, sum(p.cents) AS total FROM customer c LEFT JOIN purchase p ON p.customer = c.id GROUP BY c.id)
  ORDER BY total DESC, name LIMIT 10;
SELECT day, running FROM
  (SELECT day, sum(sum(cents)) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS running FROM purchase GROUP BY day)
  WHERE day % 60 = 0;
SELECT p.day, group_concat(DISTINCT c.region) FROM purchase p JOIN customer c ON c.id = p.customer
  WHERE p.note LIKE '%BEE%' OR p.note GLOB 'F*0' GROUP BY p.day HAVING count(*) > 2 ORDER BY p.day LIMIT 10;

BEGIN;
UPDATE purchase SET cents = cents * 2 WHERE customer IN (SELECT id FROM customer WHERE region = 'north');
DELETE FROM purchase WHERE day BETWEEN 100 AND 199;
SELECT count(*), sum(cents) FROM purchase;
ROLLBACK;
SELECT count(*), sum(cents) FROM purchase;

WITH RECURSIVE collatz(start, value, steps) AS (
  SELECT i, i, 0 FROM (SELECT value AS i FROM json_each('[27, 97, 871, 6171]'))
  UNION ALL SELECT start, CASE value % 2 WHEN 0 THEN value / 2 ELSE 3 * value + 1 END, steps + 1 FROM collatz WHERE value <> 1)
SELECT start, max(steps), max(value) FROM collatz GROUP BY start;
SELECT json_object('sum', sum(cents), 'days', json_group_array(DISTINCT day % 7)) FROM purchase WHERE customer < 5;
SELECT upper(hex(zeroblob(2))), quote('it''s'), typeof(1.0), 9223372036854775807 + 1, 7 / 2, 7 % -3, round(2.5), instr('caisson', 'ss');
INSERT INTO customer VALUES (1, 'twice', 'north');
SELECT strftime('%Y-%m-%d %H:%M:%S', 86400 * 365.25 * 30, 'unixepoch'), julianday('2000-01-01'), sqrt(2), exp(1), pow(2, 0.5);
