//! What a field of a STRUCT may say behind its type, NOT NULL and a comment: the parser does not know them.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::sql::tokens::is_word;

/// The tokens without what fields of a STRUCT say behind their types. It changes nothing, as in Spark, whose readers give NULL
/// to any field.
pub(crate) fn left_out(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut notes = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (end, found) = of_struct(&tokens, at).unwrap_or((at + 1, Vec::new()));
        notes.extend(found);
        at = end;
    }
    if !notes.is_empty() {
        let mut place = 0..;
        tokens.retain(|_| place.next().is_none_or(|at| !notes.contains(&at)));
    }
    tokens
}

/// Where the STRUCT ends that begins at a place, and the places of what its fields say; None where none begins there.
fn of_struct(tokens: &[TokenWithSpan], begin: usize) -> Option<(usize, Vec<usize>)> {
    if !is_word(&tokens[begin].token, "STRUCT") || tokens.get(begin + 1)?.token != Token::Lt {
        return None;
    }
    let (mut at, mut depth, mut notes) = (begin + 1, 0, Vec::new());
    loop {
        match &tokens.get(at)?.token {
            Token::Lt => depth += 1,
            Token::Gt => depth -= 1,
            Token::ShiftRight => depth -= 2,
            Token::Word(_) if is_note(&tokens[at - 1..]) => {
                notes.extend([at, at + 1]);
                at += 1;
            }
            Token::Word(_) | Token::Number(..) | Token::Comma | Token::Colon => {}
            Token::LParen | Token::RParen => {}
            // A column may be called `struct`, and be compared.
            _ => return None,
        }
        at += 1;
        if depth <= 0 {
            return Some((at, notes));
        }
    }
}

/// Whether behind the first of these tokens NOT NULL or a comment stands.
fn is_note(tokens: &[TokenWithSpan]) -> bool {
    let [before, first, second, ..] = tokens else {
        return false;
    };
    let text = || match &second.token {
        Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) => true,
        Token::Word(word) => word.quote_style == Some('"'),
        _ => false,
    };
    is_word(&first.token, "COMMENT") && text()
        || is_word(&first.token, "NOT")
            && is_word(&second.token, "NULL")
            && !is_word(&before.token, "IS")
}

#[cfg(test)]
mod tests {
    use sqlparser::tokenizer::Tokenizer;

    use super::*;
    use crate::sql::dialect::JobDialect;

    fn left(text: &str) -> String {
        let tokens = Tokenizer::new(&JobDialect, text).tokenize_with_location();
        let mut tokens = tokens.unwrap();
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
        let words = left_out(tokens);
        let words: Vec<String> = words.iter().map(|word| word.token.to_string()).collect();
        words.join(" ")
    }

    #[test]
    fn fields_of_a_struct_say_nothing_behind_their_types() {
        assert_eq!(
            left("a STRUCT<b: INT NOT NULL COMMENT 'x', comment STRING> NOT NULL"),
            "a STRUCT < b : INT , comment STRING > NOT NULL"
        );
        assert_eq!(
            left("STRUCT<a: ARRAY<STRUCT<b: DECIMAL(9, 2) NOT NULL>> COMMENT 'y'>, c"),
            "STRUCT < a : ARRAY < STRUCT < b : DECIMAL ( 9 , 2 ) >> > , c"
        );
    }

    #[test]
    fn a_column_called_struct_is_compared() {
        for text in [
            "struct < 5 AND x IS NOT NULL AND y > 3",
            "struct < y * 2 AND NOT NULL",
            "struct <",
        ] {
            assert_eq!(left(text), text);
        }
    }
}
