CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, cents INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
INSERT INTO orders SELECT i, (i * 7919) % 97, (i * 104729) % 9973 FROM n;
CREATE INDEX orders_by_customer ON orders(customer, cents);
SELECT customer, count(*) AS orders, sum(cents) / 100.0 AS total, max(cents) AS largest
  FROM orders GROUP BY customer ORDER BY total DESC LIMIT 5;
