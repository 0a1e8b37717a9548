CREATE TABLE lines USING text OPTIONS (path './lines');
SELECT explode(value) AS word FROM lines;
