CREATE TABLE r USING rate;
SELECT value FROM r WHERE window.start > '2026-01-01';
