//! Aggregates of a handful of rows, the manual's and Spark's; and merged, undone and through bytes.
