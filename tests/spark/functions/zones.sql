-- A session whose zone is so far from UTC, and not by whole hours.
-- set: zone=+05:30
CAST(TIMESTAMP'2024-02-29 12:34:56' AS STRING)
CAST('2024-02-29 12:34:56Z' AS TIMESTAMP)
unix_timestamp(TIMESTAMP'2024-02-29 12:34:56')
date_format(TIMESTAMP'2024-02-29 12:34:56Z', 'yyyy-MM-dd HH:mm:ss XXX z VV')
hour(TIMESTAMP'2024-02-29 20:34:56Z')
CAST(TIMESTAMP'2024-02-29 20:34:56Z' AS DATE)
date_trunc('DAY', TIMESTAMP'2024-02-29 20:34:56Z')
to_json(named_struct('t', TIMESTAMP'2024-02-29 12:34:56.789Z'))
current_timezone()
convert_timezone('Europe/Berlin', TIMESTAMP_NTZ'2024-02-29 12:00:00')
CAST(TIMESTAMP_NTZ'2024-02-29 12:00:00' AS TIMESTAMP)
-- set: zone=-03:30
CAST(TIMESTAMP'2024-02-29 01:34:56Z' AS DATE)
date_format(TIMESTAMP'2024-02-29 12:34:56Z', 'XXX O')
make_timestamp(2024, 2, 29, 1, 2, 3)
