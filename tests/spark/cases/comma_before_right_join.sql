-- input: sales
-- static: blocked
-- mode: append
-- note: what no pair of the first two fits comes once, not once for each row of the first
SELECT s.id, d.* FROM sales s JOIN (SELECT x.since AS x, y.since AS y, z.since AS z, z.card FROM blocked x, blocked y RIGHT JOIN blocked z ON y.since = z.since - 1) d ON s.card = d.card
