-- A database in a file: journal, transactions, import of text, vacuum.
PRAGMA journal_mode = DELETE;
CREATE TABLE line(number INTEGER, word TEXT, big INTEGER);
.mode list
.separator " "
.import lines.txt line
SELECT count(*), min(number), max(number), sum(big) FROM line;
CREATE INDEX line_by_word ON line(word, number);
BEGIN;
DELETE FROM line WHERE number % 3 = 0;
SAVEPOINT half;
UPDATE line SET number = number + 1;
ROLLBACK TO half;
COMMIT;
VACUUM;
SELECT word, count(*) FROM line WHERE number < 1000 GROUP BY word ORDER BY 2 DESC, 1;
PRAGMA page_count;
