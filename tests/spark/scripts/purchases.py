from pyspark.sql import SparkSession
from pyspark.sql.functions import avg, col, count, window

spark = SparkSession.builder.appName("purchases").getOrCreate()
spark.conf.set("spark.sql.session.timeZone", "UTC")
spark.conf.set("spark.sql.shuffle.partitions", "4")

actions = (
    spark.readStream.schema("user STRING, action STRING, district STRING, amount DOUBLE, eventTime TIMESTAMP")
    .option("maxFilesPerTrigger", 1)
    .json("actions")
)

counted = (
    actions.filter(col("action") == "purchase")
    .withWatermark("eventTime", "10 minutes")
    .groupBy(window(col("eventTime"), "5 minutes", "1 minute"), col("district"))
    .agg(count("*").alias("purchases"), avg("amount").alias("mean"))
)

query = (
    counted.select("window.start", "window.end", "district", "purchases", "mean")
    .writeStream.format("json")
    .outputMode("append")
    .trigger(processingTime="10 seconds")
    .option("path", "minutes")
    .option("checkpointLocation", "checkpoints/minutes")
    .start()
)
query.awaitTermination()
