//! Sources, sinks, formats, expressions and SQL.
