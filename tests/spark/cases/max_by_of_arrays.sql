-- input: trips
-- mode: complete
-- batch: yes
SELECT card, max_by(array(id, units), ts) AS newest, min_by(array(place), ts) AS oldest, max_by(array(id), ts) FILTER (WHERE units > 4) AS long, max_by(DISTINCT array(units), id) AS of_distinct, max_by(array(id), ts, 2) AS two FROM trips GROUP BY card
