-- input: trips
-- mode: append
-- batch: yes
SELECT id, card, row_number() OVER (PARTITION BY card ORDER BY ts) AS place FROM trips WHERE card IS NOT NULL AND ts IS NOT NULL QUALIFY place <= 2
