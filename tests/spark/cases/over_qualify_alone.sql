-- input: trips
-- mode: append
-- batch: yes
SELECT s.*, upper(card) AS upper_card FROM trips s WHERE card IS NOT NULL AND ts IS NOT NULL QUALIFY count(*) OVER (PARTITION BY card ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) = 2 OR lag(id) OVER (PARTITION BY card ORDER BY ts) IS NULL
