import os

from pyspark.sql import SparkSession
from pyspark.sql.functions import broadcast, coalesce, col, from_json, lit, struct, to_json

spark = SparkSession.builder.appName("merchants").getOrCreate()
kafka = os.environ.get("KAFKA", "localhost:9092")

merchants = spark.read.schema("id STRING, name STRING, city STRING").option("header", True).csv("merchants.csv")

transactions = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", kafka)
    .option("subscribe", "transactions")
    .option("startingOffsets", "earliest")
    .option("failOnDataLoss", "false")
    .load()
    .select(from_json(col("value").cast("string"), "id STRING, merchant STRING, amount DECIMAL(12,2)").alias("t"))
    .select("t.*")
)

named = (
    transactions.alias("t")
    .join(broadcast(merchants.alias("m")), col("t.merchant") == col("m.id"), "left_outer")
    .select(
        col("t.id").alias("key"),
        to_json(struct(col("t.id"), col("t.amount"), coalesce(col("m.name"), lit("unknown")).alias("merchant"), col("m.city"))).alias("value"),
    )
)

query = (
    named.writeStream.format("kafka")
    .option("kafka.bootstrap.servers", kafka)
    .option("topic", "named")
    .option("checkpointLocation", "checkpoints/named")
    .trigger(processingTime="1 second")
    .start()
)
query.awaitTermination()
