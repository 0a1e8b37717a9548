//! Rows as text: the table that Spark's `show()` prints, and lines in columns for rows that come one by one.

use std::fmt::Write as _;

use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::calendar::Zone;
use crate::expr::text;

/// The least width of a column in a table, as in Spark.
const WIDTH_MIN: usize = 3;
/// Lines in columns: a longer cell makes its line longer, not the column.
const COLUMN_MAX: usize = 40;

/// Appends a cell's text: NULL by name and bytes in hexadecimal, also within lists, maps and structs; control characters
/// escaped, as `show()` does with those that have a name.
pub(super) fn cell(out: &mut String, value: &Value, data_type: &DataType, zone: Zone) {
    let start = out.len();
    pretty(out, value, data_type, zone);
    escape(out, start);
}

fn pretty(out: &mut String, value: &Value, data_type: &DataType, zone: Zone) {
    match value {
        Value::Null => out.push_str("NULL"),
        Value::Binary(bytes) => text::append_bytes(out, bytes),
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => {
            text::append_nested(out, value, data_type, &|out, value, data_type| {
                pretty(out, value, data_type, zone);
            });
        }
        _ => text::append(out, value, data_type, zone),
    }
}

/// Writes control characters after `start` as their escapes.
fn escape(out: &mut String, start: usize) {
    if out[start..].contains(char::is_control) {
        let text = out.split_off(start);
        for c in text.chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{c}' => out.push_str("\\f"),
                '\u{8}' => out.push_str("\\b"),
                '\u{b}' => out.push_str("\\v"),
                '\u{7}' => out.push_str("\\a"),
                // Spark shows the others as they are. In a record of somebody else they could tell a terminal what to do.
                c if c.is_control() => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
    }
}

/// A cell with at most so many characters, the last three of them dots; 0 leaves it whole. As in Spark they are Java's
/// characters, of which an emoji is two; half of one becomes a question mark.
pub(super) fn truncate(cell: String, limit: usize) -> String {
    if limit == 0 || cell.chars().map(char::len_utf16).sum::<usize>() <= limit {
        return cell;
    }
    let dots = if limit < 4 { "" } else { "..." };
    let kept = limit - dots.len();
    let mut cut = String::new();
    let mut taken = 0;
    for c in cell.chars() {
        taken += c.len_utf16();
        if taken > kept {
            if taken - c.len_utf16() < kept {
                cut.push('?');
            }
            break;
        }
        cut.push(c);
    }
    cut.push_str(dots);
    cut
}

/// Columns on the screen as Spark counts them: two for characters of East Asian scripts, and for those that are two of
/// Java's characters.
pub(super) fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.chars()
        .map(|c| match c {
            '\u{1100}'..='\u{115F}'
            | '\u{2E80}'..='\u{A4CF}'
            | '\u{AC00}'..='\u{D7A3}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{FE30}'..='\u{FE6F}'
            | '\u{FF00}'..='\u{FF60}'
            | '\u{FFE0}'..='\u{FFE6}' => 2,
            other => other.len_utf16(),
        })
        .sum()
}

fn pad(out: &mut String, text: &str, columns: usize, right: bool) {
    let blank = columns.saturating_sub(width(text));
    let blanks = std::iter::repeat_n(' ', blank);
    if right {
        out.extend(blanks);
        out.push_str(text);
    } else {
        out.push_str(text);
        out.extend(blanks);
    }
}

/// One batch as Spark's console sink prints it. `limit` is the one of [`truncate`], which the cells have passed; `more`
/// says that only `rows` of the batch's rows are shown.
pub(super) fn batch(
    number: u64,
    fields: &[Field],
    rows: &[Vec<String>],
    limit: usize,
    more: bool,
) -> String {
    let rule = "-------------------------------------------";
    let mut out = format!("{rule}\nBatch: {number}\n{rule}\n");
    let header: Vec<String> = fields
        .iter()
        .map(|field| {
            let mut name = field.name.to_string();
            escape(&mut name, 0);
            name
        })
        .collect();
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(place, name)| {
            rows.iter()
                .filter_map(|row| row.get(place))
                .map(|cell| width(cell))
                .fold(width(name).max(WIDTH_MIN), usize::max)
        })
        .collect();
    let edge = widths.iter().fold(String::from("+"), |mut edge, width| {
        edge.extend(std::iter::repeat_n('-', *width));
        edge.push('+');
        edge
    });
    let line = |out: &mut String, cells: &[String]| {
        out.push('|');
        for (cell, width) in cells.iter().zip(&widths) {
            pad(out, cell, *width, limit > 0);
            out.push('|');
        }
        out.push('\n');
    };
    out.push_str(&format!("{edge}\n"));
    line(&mut out, &header);
    out.push_str(&format!("{edge}\n"));
    for row in rows {
        line(&mut out, row);
    }
    out.push_str(&format!("{edge}\n"));
    if more {
        let word = if rows.len() == 1 { "row" } else { "rows" };
        out.push_str(&format!("only showing top {} {word}\n", rows.len()));
    } else {
        out.push('\n');
    }
    out
}

/// Rows that come one by one: names once, then a line for each row. A column is as wide as its widest cell so far, so
/// that lines stand under each other without waiting for the next row.
pub(super) struct Columns {
    columns: Vec<Column>,
    header_written: bool,
}

struct Column {
    name: String,
    data_type: DataType,
    width: usize,
}

impl Columns {
    pub(super) fn new(fields: &[Field]) -> Self {
        Self {
            columns: fields
                .iter()
                .map(|field| {
                    let mut name = field.name.to_string();
                    escape(&mut name, 0);
                    Column {
                        width: width(&name).max(usual_width(&field.data_type)),
                        data_type: field.data_type.clone(),
                        name,
                    }
                })
                .collect(),
            header_written: false,
        }
    }

    /// Appends a row's line.
    pub(super) fn line(&mut self, row: &[Value], limit: usize, zone: Zone, out: &mut Vec<u8>) {
        let mut line = String::new();
        let last = self.columns.len().saturating_sub(1);
        for (place, (column, value)) in self.columns.iter_mut().zip(row).enumerate() {
            let mut text = String::new();
            cell(&mut text, value, &column.data_type, zone);
            let text = truncate(text, limit);
            column.width = column.width.max(width(&text).min(COLUMN_MAX));
            if place > 0 {
                line.push_str("  ");
            }
            let right = column.data_type.is_numeric();
            let columns = if place == last && !right {
                0
            } else {
                column.width
            };
            pad(&mut line, &text, columns, right);
        }
        line.push('\n');
        out.extend_from_slice(line.as_bytes());
    }

    /// The names with a rule below them, before the first line.
    pub(super) fn header(&mut self) -> Option<String> {
        if self.header_written {
            return None;
        }
        self.header_written = true;
        let (mut names, mut rule) = (String::new(), String::new());
        for (place, column) in self.columns.iter().enumerate() {
            if place > 0 {
                names.push_str("  ");
                rule.push_str("  ");
            }
            pad(
                &mut names,
                &column.name,
                column.width,
                column.data_type.is_numeric(),
            );
            rule.extend(std::iter::repeat_n('-', column.width));
        }
        Some(format!("{}\n{rule}\n", names.trim_end()))
    }
}

/// How wide the cells of a type usually are.
fn usual_width(data_type: &DataType) -> usize {
    match data_type {
        DataType::Timestamp | DataType::TimestampNtz => "2026-11-21 10:00:00.123456".len(),
        DataType::Date => "2026-11-21".len(),
        DataType::Double | DataType::Decimal { .. } => 8,
        DataType::BigInt | DataType::Int => 6,
        _ => WIDTH_MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<Field> {
        vec![
            Field::nullable("id", DataType::Int),
            Field::nullable("name", DataType::String),
        ]
    }

    fn cells(rows: &[[&str; 2]], limit: usize) -> Vec<Vec<String>> {
        rows.iter()
            .map(|row| {
                row.iter()
                    .map(|cell| truncate((*cell).to_owned(), limit))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_batch_looks_as_in_spark() {
        let rows = cells(
            &[
                ["1", "short"],
                ["22", "a text of more than twenty characters"],
            ],
            20,
        );
        assert_eq!(
            batch(3, &fields(), &rows, 20, false),
            "\
-------------------------------------------
Batch: 3
-------------------------------------------
+---+--------------------+
| id|                name|
+---+--------------------+
|  1|               short|
| 22|a text of more th...|
+---+--------------------+

"
        );
    }

    #[test]
    fn whole_cells_stand_on_the_left() {
        let rows = cells(&[["1", "a text of more than twenty characters"]], 0);
        assert_eq!(
            batch(0, &fields(), &rows, 0, true),
            "\
-------------------------------------------
Batch: 0
-------------------------------------------
+---+-------------------------------------+
|id |name                                 |
+---+-------------------------------------+
|1  |a text of more than twenty characters|
+---+-------------------------------------+
only showing top 1 row
"
        );
    }

    #[test]
    fn an_empty_batch_is_an_empty_table() {
        assert!(batch(0, &fields(), &[], 20, false).ends_with(
            "\
+---+----+
| id|name|
+---+----+
+---+----+

"
        ));
    }

    #[test]
    fn characters_of_double_width_keep_the_table_straight() {
        let rows = cells(&[["1", "北京"], ["2", "naïve"]], 20);
        assert!(batch(0, &fields(), &rows, 20, false).ends_with(
            "\
+---+-----+
| id| name|
+---+-----+
|  1| 北京|
|  2|naïve|
+---+-----+

"
        ));
    }

    #[test]
    fn a_limit_below_four_leaves_no_room_for_dots() {
        assert_eq!(truncate("abcdef".to_owned(), 3), "abc");
        assert_eq!(truncate("abcdef".to_owned(), 5), "ab...");
        assert_eq!(truncate("abcde".to_owned(), 5), "abcde");
    }

    // What Spark 4.3 shows.
    #[test]
    fn an_emoji_is_two_characters() {
        assert_eq!(width("emoji 😀😀"), 10);
        assert_eq!(truncate("😀".repeat(10), 20), "😀".repeat(10));
        assert_eq!(truncate("😀".repeat(11), 20), "😀😀😀😀😀😀😀😀?...");
        assert_eq!(
            truncate("a".to_owned() + &"😀".repeat(11), 20),
            "a😀😀😀😀😀😀😀😀..."
        );
    }

    #[test]
    fn what_is_null_within_a_value_is_written_as_null_itself() {
        let mut out = String::new();
        let list = DataType::Array(std::sync::Arc::new(DataType::Binary));
        cell(
            &mut out,
            &Value::Array([Value::Null, Value::Binary([10, 255].into())].into()),
            &list,
            Zone::UTC,
        );
        assert_eq!(out, "[NULL, [0A FF]]");
    }

    #[test]
    fn what_would_break_a_line_is_escaped() {
        let mut out = String::new();
        cell(
            &mut out,
            &Value::from("a\nb\tc\u{1b}[2J\u{7f}\u{9b}"),
            &DataType::String,
            Zone::UTC,
        );
        cell(&mut out, &Value::Null, &DataType::String, Zone::UTC);
        cell(
            &mut out,
            &Value::Binary([10, 255].into()),
            &DataType::Binary,
            Zone::UTC,
        );
        assert_eq!(out, "a\\nb\\tc\\u001b[2J\\u007f\\u009bNULL[0A FF]");
    }

    #[test]
    fn rows_that_come_one_by_one_stand_under_their_names() {
        let mut columns = Columns::new(&[
            Field::nullable("card", DataType::String),
            Field::nullable("amount", DataType::Double),
            Field::nullable("reason", DataType::String),
        ]);
        let mut out = Vec::new();
        for (card, amount, reason) in [("4000-1", 12.5, "far away"), ("4000-22", 1e9, "x")] {
            let row = [
                Value::from(card),
                Value::Double(amount),
                Value::from(reason),
            ];
            let mut line = Vec::new();
            columns.line(&row, 0, Zone::UTC, &mut line);
            out.extend(columns.header().unwrap_or_default().into_bytes());
            out.extend(line);
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\
card      amount  reason
------  --------  --------
4000-1      12.5  far away
4000-22     1.0E9  x
"
        );
    }
}
