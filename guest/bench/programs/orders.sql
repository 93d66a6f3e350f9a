-- A join, aggregates, an index, windows, text functions over 120 000 rows in memory.
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, region TEXT);
CREATE TABLE purchase(id INTEGER PRIMARY KEY, customer INTEGER, cents INTEGER, day INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO customer SELECT i, printf('customer-%04d', i), substr('northsouthwest east ', (i % 4) * 5 + 1, 5) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
INSERT INTO purchase SELECT i, (i * 7919) % 2000 + 1, (i * 104729) % 99991, (i * 31) % 365, hex(i * i % 65536) FROM n;
CREATE INDEX purchase_by_customer ON purchase(customer, day);
SELECT region, count(DISTINCT c.id), count(*), sum(cents) FROM customer c JOIN purchase p ON p.customer = c.id
  GROUP BY region ORDER BY region;
SELECT name, total FROM (SELECT c.name, sum(p.cents) AS total FROM customer c JOIN purchase p ON p.customer = c.id GROUP BY c.id)
  ORDER BY total DESC, name LIMIT 5;
SELECT day, running FROM (SELECT day, sum(sum(cents)) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS running
  FROM purchase GROUP BY day) WHERE day % 120 = 0;
SELECT count(*), sum(length(note)) FROM purchase WHERE note LIKE '%BEE%' OR note GLOB 'F*0';
UPDATE purchase SET cents = cents * 2 WHERE customer % 3 = 0;
DELETE FROM purchase WHERE day BETWEEN 100 AND 149;
SELECT count(*), sum(cents), max(note) FROM purchase;
SELECT substr(note, 1, 2) AS prefix, count(*) FROM purchase GROUP BY prefix ORDER BY 2 DESC, 1 LIMIT 4;
