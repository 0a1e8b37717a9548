import os

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, from_json, sha2, struct, to_json

spark = SparkSession.builder.appName("dedup").getOrCreate()
kafka = os.environ.get("KAFKA", "localhost:9092")

events = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", kafka)
    .option("subscribe", "events")
    .option("startingOffsets", "earliest")
    .option("maxOffsetsPerTrigger", 1)
    .load()
    .select(from_json(col("value").cast("string"), "id STRING, at TIMESTAMP, card STRING, note STRING").alias("e"))
    .select("e.*")
)

first = (
    events.withWatermark("at", "10 minutes")
    .dropDuplicates(["id", "at"])
    .withColumn("card", sha2("card", 256))
    .withColumnRenamed("note", "remark")
)

query = (
    first.select(to_json(struct("*")).alias("value"))
    .writeStream.format("kafka")
    .option("kafka.bootstrap.servers", kafka)
    .option("topic", "unique")
    .option("checkpointLocation", "checkpoints/unique")
    .trigger(availableNow=True)
    .start()
)
query.awaitTermination()
