import os

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, expr, from_json, struct, to_json, when

spark = SparkSession.builder.appName("enrich").getOrCreate()
kafka = os.environ.get("KAFKA", "localhost:9092")

invoices = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", kafka)
    .option("subscribe", "invoices")
    .option("startingOffsets", "earliest")
    .load()
)

schema = """InvoiceNumber STRING, CreatedTime BIGINT, StoreID STRING, CustomerCardNo STRING,
  TotalAmount DOUBLE, Lines ARRAY<STRUCT<Item: STRING, Price: DOUBLE, Qty: INT>>"""

bills = (
    invoices.select(col("key"), from_json(col("value").cast("string"), schema).alias("bill"))
    .select("key", "bill.*")
    .filter(col("CustomerCardNo").isNotNull())
)

enriched = (
    bills.withColumn("CreatedAt", expr("timestamp_millis(CreatedTime)"))
    .withColumn("Items", expr("transform(Lines, line -> line.Item)"))
    .withColumn("Points", col("TotalAmount") * 0.2)
    .withColumn("Tier", when(col("TotalAmount") >= 1000, "gold").when(col("TotalAmount") >= 100, "silver").otherwise("plain"))
    .drop("CreatedTime", "Lines")
)

query = (
    enriched.select(
        "key",
        to_json(struct("InvoiceNumber", "StoreID", "CustomerCardNo", "TotalAmount", "CreatedAt", "Items", "Points", "Tier")).alias("value"),
    )
    .writeStream.queryName("enriched")
    .format("kafka")
    .option("kafka.bootstrap.servers", kafka)
    .option("topic", "enriched")
    .outputMode("append")
    .option("checkpointLocation", "checkpoints/enriched")
    .start()
)
query.awaitTermination()
