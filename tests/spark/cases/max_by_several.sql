-- input: trips
-- mode: complete
SELECT card, max_by(id, ts, 3) AS newest, min_by(struct(id, units), ts, 2) AS oldest, max_by(place, id, 100) FILTER (WHERE units > 4) AS places FROM trips GROUP BY card
