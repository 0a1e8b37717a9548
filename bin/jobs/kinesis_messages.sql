-- The messages of a Kinesis stream on the screen. Try it with `loadtest/kinesis.sh serve`, or with a stream of your own.
CREATE TABLE messages USING kinesis OPTIONS (
  streamName '${STREAM:-messages}', endpointUrl '${KINESIS:-http://127.0.0.1:4567}',
  awsAccessKeyId '${AWS_KEY:-test}', awsSecretKey '${AWS_SECRET:-test}', startingPosition '${STARTING:-TRIM_HORIZON}');

SELECT data.* FROM (
  SELECT from_json(CAST(data AS STRING), 'message_type STRING, count INT') AS data FROM messages);
