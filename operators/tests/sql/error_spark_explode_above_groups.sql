CREATE TABLE lines USING text OPTIONS (path './lines');
SET outputMode = 'update';
SELECT explode(split(value, ' ')) AS word, count(*) FROM lines GROUP BY word;
