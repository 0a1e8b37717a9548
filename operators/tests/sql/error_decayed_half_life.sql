CREATE TABLE events (card STRING, amount DOUBLE, ts TIMESTAMP) USING file OPTIONS (path 'e');
CREATE TABLE features USING file OPTIONS (path 'f');
INSERT INTO features SELECT decayed_sum(amount, 3600) OVER (PARTITION BY card ORDER BY ts) AS s FROM events;
