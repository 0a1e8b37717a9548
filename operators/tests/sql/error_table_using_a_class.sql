CREATE TABLE sales (id INT) USING org.apache.spark.sql.json OPTIONS (path './sales');
SELECT id FROM sales;
