//! The grammar of expressions and queries: Spark's, with the parts switched on that its parser leaves off.

use std::any::TypeId;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, Precedence, SparkSqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// Spark's dialect with `INTERVAL '1 day 2 hours'`, backslash escapes in strings, and `TABLESAMPLE` before the alias (the
/// front of the language puts its own mark there).
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobDialect;

const SPARK: SparkSqlDialect = SparkSqlDialect;

/// Whether no more of an item of a SELECT follows.
fn ends_item(next: &Token) -> bool {
    match next {
        Token::Comma | Token::RParen | Token::EOF => true,
        Token::Word(word) => word.keyword == Keyword::FROM,
        _ => false,
    }
}

impl Dialect for JobDialect {
    /// The parser asks by type in a few places; there this is Spark's.
    fn dialect(&self) -> TypeId {
        TypeId::of::<SparkSqlDialect>()
    }

    // What differs from Spark's.

    fn require_interval_qualifier(&self) -> bool {
        false
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    /// `'\%'` stays `\%`, as in Spark, so that it can be used in a LIKE pattern.
    fn ignores_wildcard_escapes(&self) -> bool {
        true
    }

    fn supports_table_sample_before_alias(&self) -> bool {
        true
    }

    fn supports_pipe_operator(&self) -> bool {
        false
    }

    /// `INTERVAL DAY TO SECOND` as a type.
    fn supports_interval_options(&self) -> bool {
        true
    }

    /// `first(x IGNORE NULLS)`.
    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    /// `a CROSS JOIN b ON ...`, which is an inner join.
    fn supports_cross_join_constraint(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    /// `||` binds as `+` does, and shifts between it and `&`.
    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        let sum = self.prec_value(Precedence::PlusMinus);
        match parser.peek_token_ref().token {
            Token::StringConcat => Some(Ok(sum)),
            Token::ShiftLeft | Token::ShiftRight => Some(Ok(sum - 1)),
            // Behind `::STRING`; the parser knows it behind a value only.
            Token::Word(ref word) if word.keyword == Keyword::COLLATE => {
                let behind = parser.peek_nth_token(1).token;
                let named =
                    matches!(behind, Token::Word(word) if word.keyword == Keyword::NoKeyword);
                named.then(|| Ok(self.prec_value(Precedence::DoubleColon)))
            }
            _ => None,
        }
    }

    /// `FROM table SELECT ...`, Hive's form.
    fn supports_from_first_select(&self) -> bool {
        true
    }

    /// A word that is followed by what ends an item is the item's name: `SELECT v end, k order FROM t`.
    fn is_column_alias(&self, word: &Keyword, parser: &mut Parser<'_>) -> bool {
        SPARK.is_column_alias(word, parser)
            || *word != Keyword::FROM && ends_item(&parser.peek_token_ref().token)
    }

    /// A column may be called `struct` or `trim`.
    fn is_reserved_for_identifier(&self, word: Keyword) -> bool {
        !matches!(word, Keyword::STRUCT | Keyword::TRIM) && SPARK.is_reserved_for_identifier(word)
    }

    // What is Spark's.

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        SPARK.is_delimited_identifier_start(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        SPARK.identifier_quote_style(identifier)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        SPARK.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        SPARK.is_identifier_part(ch)
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        SPARK.supports_filter_during_aggregation()
    }

    fn supports_group_by_expr(&self) -> bool {
        SPARK.supports_group_by_expr()
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        SPARK.supports_group_by_with_modifier()
    }

    fn supports_lambda_functions(&self) -> bool {
        SPARK.supports_lambda_functions()
    }

    fn supports_select_wildcard_except(&self) -> bool {
        SPARK.supports_select_wildcard_except()
    }

    fn supports_struct_literal(&self) -> bool {
        SPARK.supports_struct_literal()
    }

    fn supports_nested_comments(&self) -> bool {
        SPARK.supports_nested_comments()
    }

    fn supports_create_table_using(&self) -> bool {
        SPARK.supports_create_table_using()
    }

    fn supports_long_type_as_bigint(&self) -> bool {
        SPARK.supports_long_type_as_bigint()
    }

    fn supports_values_as_table_factor(&self) -> bool {
        SPARK.supports_values_as_table_factor()
    }

    fn supports_bang_not_operator(&self) -> bool {
        SPARK.supports_bang_not_operator()
    }

    fn supports_select_item_multi_column_alias(&self) -> bool {
        SPARK.supports_select_item_multi_column_alias()
    }

    fn supports_cte_without_as(&self) -> bool {
        SPARK.supports_cte_without_as()
    }

    fn supports_map_literal_with_angle_brackets(&self) -> bool {
        SPARK.supports_map_literal_with_angle_brackets()
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        crate::expr::prefix::parse_prefix(parser)
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        crate::expr::prefix::parse_infix(parser, expr, precedence)
            .or_else(|| SPARK.parse_infix(parser, expr, precedence))
    }
}
