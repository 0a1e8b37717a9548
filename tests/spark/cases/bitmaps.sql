-- input: sales
-- mode: complete
SELECT card, hex(substring(bitmap_construct_agg(bitmap_bit_position(id)), 1, 3)) AS ids, bitmap_count(bitmap_construct_agg(bitmap_bit_position(units))) AS n, hex(substring(bitmap_or_agg(unhex(hex(id))), 1, 2)) AS o, hex(substring(bitmap_and_agg(unhex(hex(id + 240))), 1, 2)) AS a FROM sales GROUP BY card
