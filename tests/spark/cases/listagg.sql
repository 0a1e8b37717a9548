-- input: sales
-- mode: complete
SELECT card, listagg(note, '; ') AS arrived, string_agg(units) AS units, listagg(note, '|') WITHIN GROUP (ORDER BY units DESC, id) AS sorted, listagg(id, ',') WITHIN GROUP (ORDER BY id DESC) AS ids, listagg(note, ',') WITHIN GROUP (ORDER BY small NULLS LAST) FILTER (WHERE paid) AS paid
FROM sales GROUP BY card
