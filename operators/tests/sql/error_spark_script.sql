df = spark.readStream.format("kafka").option("subscribe", "invoices").load()
