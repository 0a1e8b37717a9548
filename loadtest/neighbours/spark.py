"""The loyalty job in Spark Structured Streaming: BOOTSTRAP INPUT OUTPUT CHECKPOINT TRIGGER [NAME=VALUE], TRIGGER as
`realTime=5 seconds`, `continuous=1 second` or `processingTime=0 seconds`; settings of Spark behind it."""

import sys

from pyspark.sql import SparkSession

bootstrap, source, target, checkpoint, trigger, *settings = sys.argv[1:]
builder = SparkSession.builder.master("local[4]").appName("loyalty").config("spark.ui.enabled", "false")
for setting in settings:
    builder = builder.config(*setting.split("=", 1))
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
columns = "BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING, TotalValue DOUBLE"
invoices = spark.readStream.format("kafka").option("kafka.bootstrap.servers", bootstrap).option("subscribe", source).option("startingOffsets", "earliest")
answers = (
    invoices.load()
    .selectExpr(f"from_json(CAST(value AS STRING), '{columns}') AS invoice")
    .selectExpr(
        "invoice.BillNo AS key",
        "to_json(named_struct('BillNo', invoice.BillNo, 'CustomerCardNo', invoice.CustomerCardNo, 'TotalValue', invoice.TotalValue,"
        " 'EarnedLoyaltyPoints', invoice.TotalValue * 0.2)) AS value",
    )
    .writeStream.format("kafka")
    .outputMode("update")
    .option("kafka.bootstrap.servers", bootstrap)
    .option("topic", target)
    .option("checkpointLocation", checkpoint)
    .trigger(**dict([trigger.split("=", 1)]))
)
answers.start().awaitTermination()
