CREATE TABLE events (card STRING, n BIGINT) USING file OPTIONS (path 'e');
CREATE TABLE features USING file OPTIONS (path 'f');
INSERT INTO features SELECT decayed_count(INTERVAL 1 HOUR) OVER (PARTITION BY card ORDER BY n) AS s FROM events;
