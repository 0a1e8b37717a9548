//! scratch
mod dialect;
#[cfg(test)]
mod scratch {
    use super::dialect::JobDialect;
    use sqlparser::parser::Parser;
    use sqlparser::tokenizer::Tokenizer;
    fn tok(s: &str) { println!("{s}\n   {:?}", Tokenizer::new(&JobDialect, s).tokenize_with_location().map(|v| v.into_iter().map(|t| format!("{:?}@{}:{}", t.token, t.span.start.line, t.span.start.column)).collect::<Vec<_>>())); }
    fn ex(s: &str) { println!("{s}\n   {:?}", Parser::new(&JobDialect).try_with_sql(s).and_then(|mut p| { let e = p.parse_expr()?; Ok((format!("{e:?}"), p.peek_token().to_string())) }).map(|(e, r)| format!("{} REST {r}", strip(&e)))); }
    fn ty(s: &str) { println!("{s}\n   {:?}", Parser::new(&JobDialect).try_with_sql(s).and_then(|mut p| { let e = p.parse_data_type()?; Ok((format!("{e:?}"), p.peek_token().to_string())) }).map(|(e, r)| format!("{} REST {r}", strip(&e)))); }
    fn q(s: &str) { println!("{s}\n   {:?}", Parser::new(&JobDialect).try_with_sql(s).and_then(|mut p| { let e = p.parse_query()?; Ok((format!("{e:?}"), p.peek_token().to_string())) }).map(|(e, r)| format!("{} REST {r}", strip(&e)))); }
    fn strip(e: &str) -> String { let mut out = e.to_owned(); while let Some(i) = out.find("span: Span(") { let j = out[i..].find("))").map_or(out.len(), |j| i + j + 2); out.replace_range(i..j, ""); } out }
    #[test]
    fn look() {
        for s in ["1L", "1.5D", "2BD", "1e5", "1e5D", "-5Y", "x'1F'", "r'a\\d'", "'a\\'b'", "'a\\d\\n\\u0041\\%'", "'a''b'", "\"dq\"", "'open", "`a b`", "a<=>b", "/* open", "é", "$x", "\u{0}", "a:b", "10s", ".5", "1.", "1.e3"] { tok(s); }
        for s in ["INTERVAL '1 day 2 hours'", "INTERVAL 10 MINUTES", "INTERVAL 1 DAY 2 HOURS", "a div b + 1", "1 + a div b", "a.b[0].c", "transform(x, y -> y + 1)", "cast(a as string)", "a::int", "TIMESTAMP '2020-01-01'", "DATE '2020-01-01'", "x RLIKE 'a'", "not a = b", "!a", "a || b", "struct(a, b as c)", "named_struct('a', 1)", "CASE WHEN a THEN b END", "if(a,b,c)", "current_timestamp", "extract(year from a)", "substring(a, 1, 2)", "trim(both ' ' from a)", "a between 1 and 2", "a in (1,2)", "map('a',1)", "array(1,2)", "count(*) filter (where a)", "f(DISTINCT a)", "a == b", "~a", "a ^ b", "try_cast(a as int)", "-a", "-1", "interval '10' minute", "window(ts, '10 minutes')", "data.*", "ceil(a, 2)", "floor(a)", "position('a' in b)", "overlay(a placing b from 1)", "a << 2", "cast(a as timestamp_ntz)", "a IS NOT DISTINCT FROM b", "left(a,1)", "explode(a)", "a % b", "predict('m', a) fallback b", "- - 1"] { ex(s); }
        for s in ["STRING", "BIGINT", "LONG", "SHORT", "BYTE", "INT", "INTEGER", "TINYINT", "SMALLINT", "FLOAT", "REAL", "DOUBLE", "DECIMAL(10,2)", "DEC", "NUMERIC(5)", "BINARY", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "INTERVAL DAY TO SECOND", "INTERVAL YEAR", "ARRAY<STRING>", "MAP<STRING, ARRAY<INT>>", "STRUCT<a: INT, b: STRING>", "STRUCT<a INT, b STRUCT<c: ARRAY<INT>>>", "STRUCT<a: INT NOT NULL COMMENT 'x'>", "VARCHAR(10)", "CHAR(3)", "VOID"] { ty(s); }
        for s in ["SELECT * EXCEPT (a), t.*, b.c.* FROM t LATERAL VIEW OUTER explode(x) v AS y, z WHERE a", "SELECT posexplode(x) AS (a, b) FROM t TABLESAMPLE (w1 ROWS) AS q", "SELECT 1 FROM (SELECT 2 FOR SHARE OF w3) q", "WITH a AS (SELECT 1) SELECT * FROM a UNION ALL SELECT * FROM b ORDER BY 1 LIMIT 2", "FROM t SELECT a", "SELECT a FROM t |> WHERE b", "SELECT DISTINCT ON (id) * FROM t", "SELECT explode(x) y, a b FROM t, u JOIN v ON a = b"] { q(s); }
    }
}
