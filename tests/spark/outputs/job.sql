-- Rows of every type into folders of every format, for others to read: tests/spark/make outputs.
CREATE TABLE rows (
  id INT, flag BOOLEAN, tiny TINYINT, small SMALLINT, big BIGINT, real FLOAT, ratio DOUBLE, price DECIMAL(12,2), huge DECIMAL(38,10),
  name STRING, bytes BINARY, day DATE, at TIMESTAMP, wall TIMESTAMP_NTZ,
  list ARRAY<INT>, tags MAP<STRING, INT>, place STRUCT<city: STRING, zones: ARRAY<STRUCT<z: INT>>>, kind STRING
) USING file OPTIONS (path '${ROWS}', format 'json');

CREATE VIEW plain AS SELECT id, flag, tiny, small, big, real, ratio, price, huge, name, day, at, wall, kind FROM rows;

SET checkpointLocation = '${OUT}/checkpoints';

CREATE TABLE parquet_all USING parquet OPTIONS (path '${OUT}/parquet_all');
INSERT INTO parquet_all SELECT * FROM rows;
CREATE TABLE parquet_zstd USING parquet OPTIONS (path '${OUT}/parquet_zstd', compression 'zstd');
INSERT INTO parquet_zstd SELECT * FROM rows;
CREATE TABLE parquet_by USING parquet OPTIONS (path '${OUT}/parquet_by') PARTITIONED BY (day, kind);
INSERT INTO parquet_by SELECT * FROM rows;

CREATE TABLE json_all USING json OPTIONS (path '${OUT}/json_all');
INSERT INTO json_all SELECT * FROM rows;
CREATE TABLE json_gzip USING json OPTIONS (path '${OUT}/json_gzip', compression 'gzip');
INSERT INTO json_gzip SELECT * FROM rows;
CREATE TABLE json_by USING json OPTIONS (path '${OUT}/json_by') PARTITIONED BY (kind);
INSERT INTO json_by SELECT * FROM rows;

CREATE TABLE csv_header USING csv OPTIONS (path '${OUT}/csv_header', header 'true', nullValue '-');
INSERT INTO csv_header SELECT * FROM plain;
CREATE TABLE csv_by USING csv OPTIONS (path '${OUT}/csv_by', sep ';', nullValue '-') PARTITIONED BY (day, kind);
INSERT INTO csv_by SELECT * FROM plain;

CREATE TABLE text_by USING text OPTIONS (path '${OUT}/text_by') PARTITIONED BY (kind);
INSERT INTO text_by SELECT replace(name, '\n', ' ') AS value, kind FROM rows WHERE name IS NOT NULL;
