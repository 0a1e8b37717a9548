import os

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, expr, from_json, struct, to_json

spark = SparkSession.builder.appName("matches").getOrCreate()
kafka = os.environ.get("KAFKA", "localhost:9092")


def topic(name, schema):
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", kafka)
        .option("subscribe", name)
        .option("startingOffsets", "earliest")
        .load()
        .select(from_json(col("value").cast("string"), schema).alias("row"))
        .select("row.*")
    )


impressions = topic("impressions", "impressionAdId STRING, impressionTime TIMESTAMP").withWatermark("impressionTime", "2 hours")
clicks = topic("clicks", "clickAdId STRING, clickTime TIMESTAMP").withWatermark("clickTime", "3 hours")

matched = impressions.join(
    clicks,
    expr("""
        clickAdId = impressionAdId AND
        clickTime >= impressionTime AND
        clickTime <= impressionTime + interval 1 hour
    """),
    "leftOuter",
)

query = (
    matched.select(col("impressionAdId").alias("key"), to_json(struct("*")).alias("value"))
    .writeStream.format("kafka")
    .option("kafka.bootstrap.servers", kafka)
    .option("topic", "matches")
    .option("checkpointLocation", "checkpoints/matches")
    .start()
)
query.awaitTermination()
