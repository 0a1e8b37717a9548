from pyspark.sql import SparkSession
