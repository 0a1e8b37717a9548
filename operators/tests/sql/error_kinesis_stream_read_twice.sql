CREATE TABLE a USING kinesis OPTIONS (streamName 's', region 'eu-west-1');
CREATE TABLE b USING kinesis OPTIONS (kinesis.streamName 's', kinesis.region 'eu-west-1');
SELECT partitionKey FROM a UNION ALL SELECT partitionKey FROM b;
