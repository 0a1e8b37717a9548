-- word_count_socket.sql: counts the words of the lines that a server sends; every 8 seconds all counts come to the console.
-- Needs a server that sends lines, such as `nc -lk 9999` in another terminal: thalweg run bin/jobs/word_count_socket.sql
CREATE TABLE lines USING socket OPTIONS (host '${SOCKET_HOST:-localhost}', port '${SOCKET_PORT:-9999}');

SET outputMode = 'complete';
SET trigger = '8 seconds';
SELECT word, count(*) AS count
FROM (SELECT explode(split(value, ' ')) AS word FROM lines)
GROUP BY word;
