-- input: sales
-- static: blocked
-- mode: append
SELECT s.id, b.since, b.place, b.overall, b.before FROM sales s JOIN (
  SELECT card, since, row_number() OVER (PARTITION BY card ORDER BY since, card) AS place,
    row_number() OVER (ORDER BY since NULLS LAST, card DESC) AS overall,
    lag(since, 1, -1) OVER (PARTITION BY card ORDER BY since DESC) AS before
  FROM blocked
) b ON b.card <=> s.card
