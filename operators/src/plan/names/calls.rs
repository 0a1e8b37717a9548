//! The text of a call, where Spark's is not the name and the arguments as they stand.

use super::{VARIABLE, call};
use crate::expr::call::as_type;

/// How the names of these are written, although a job may write them in any case.
const IN_CAPITALS: &[&str] = &[
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "cos",
    "cosh",
    "cot",
    "csc",
    "degrees",
    "e",
    "exp",
    "expm1",
    "hypot",
    "log",
    "log10",
    "log1p",
    "log2",
    "pi",
    "power",
    "radians",
    "regexp",
    "regexp_like",
    "rlike",
    "sec",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
];

const SECONDS: &str = "yyyy-MM-dd HH:mm:ss";

/// Functions with arguments that may be left out, and what Spark writes for these, from a place on.
const DEFAULTS: &[(&str, usize, &[&str])] = &[
    ("aes_decrypt", 2, &["GCM", "DEFAULT", ""]),
    ("aes_encrypt", 2, &["GCM", "DEFAULT", "", ""]),
    ("approx_percentile", 2, &["10000"]),
    ("bround", 1, &["0"]),
    ("from_unixtime", 1, &[SECONDS]),
    ("hmac", 2, &["SHA-256"]),
    ("listagg", 1, &["NULL"]),
    ("locate", 2, &["1"]),
    ("lpad", 2, &[" "]),
    ("make_dt_interval", 0, &["0", "0", "0", "0.000000"]),
    ("make_ym_interval", 0, &["0", "0"]),
    ("mask", 1, &["X", "x", "n", "NULL"]),
    ("months_between", 2, &["true"]),
    ("overlay", 3, &["-1"]),
    ("percentile", 2, &["1"]),
    ("percentile_approx", 2, &["10000"]),
    ("position", 2, &["1"]),
    ("regexp_extract", 2, &["1"]),
    ("regexp_extract_all", 2, &["1"]),
    ("regexp_instr", 2, &["0"]),
    ("regexp_replace", 3, &["1"]),
    ("replace", 2, &[""]),
    ("round", 1, &["0"]),
    ("rpad", 2, &[" "]),
    ("sentences", 1, &["", ""]),
    ("sort_array", 1, &["true"]),
    ("split", 2, &["-1"]),
    ("str_to_map", 1, &[",", ":"]),
    ("string_agg", 1, &["NULL"]),
    ("substr", 2, &["2147483647"]),
    ("substring", 2, &["2147483647"]),
    ("time_bucket", 2, &["TIMESTAMP '1970-01-01 00:00:00'"]),
    ("to_unix_timestamp", 1, &[SECONDS]),
    ("try_aes_decrypt", 2, &["GCM", "DEFAULT", ""]),
    ("unix_timestamp", 0, &["current_timestamp()", SECONDS]),
    ("vector_norm", 1, &["2.0"]),
    ("vector_normalize", 1, &["2.0"]),
];

/// Functions whose other arguments are settings that are not written.
const OF_THE_FIRST: &[&str] = &[
    "any_value",
    "approx_count_distinct",
    "first",
    "first_value",
    "from_csv",
    "from_json",
    "last",
    "last_value",
    "schema_of_csv",
    "schema_of_json",
    "to_csv",
    "to_json",
];

/// A call of this name, in lower case, with the texts of its arguments.
pub(super) fn text(name: &str, mut arguments: Vec<String>) -> String {
    if let Some((_, from, defaults)) = DEFAULTS.iter().find(|(known, ..)| *known == name) {
        let given = arguments.len().saturating_sub(*from);
        if arguments.len() >= *from {
            let rest = defaults.iter().skip(given);
            arguments.extend(rest.map(|default| (*default).to_owned()));
        }
    }
    if OF_THE_FIRST.contains(&name) {
        arguments.truncate(1);
    }
    match (name, arguments.as_slice()) {
        // A cast in the form of a call is called as what is cast.
        (cast, [value]) if as_type(cast).is_some() => value.clone(),
        ("if", [..]) => format!("(IF({}))", arguments.join(", ")),
        ("positive", [value]) => format!("(+ {value})"),
        ("isnull", [value]) => format!("({value} IS NULL)"),
        ("isnotnull", [value]) => format!("({value} IS NOT NULL)"),
        ("ltrim", [what, value]) => format!("TRIM(LEADING {what} FROM {value})"),
        ("rtrim", [what, value]) => format!("TRIM(TRAILING {what} FROM {value})"),
        ("datepart", [field, value]) => format!("datepart({field} FROM {value})"),
        ("dateadd", [_, _]) => call("date_add", &arguments.join(", ")),
        ("dateadd" | "date_add", [_, _, _]) => call("timestampadd", &arguments.join(", ")),
        ("datediff" | "date_diff", [_, _, _]) => call("timestampdiff", &arguments.join(", ")),
        ("array_agg", [..]) => call("collect_list", &arguments.join(", ")),
        ("mode", [value, order]) if order == "false" => call("mode", value),
        ("mode", [value, _]) => format!("mode() WITHIN GROUP (ORDER BY {value} DESC)"),
        ("log", [value]) => format!("LOG(E(), {value})"),
        ("assert_true", [value]) => format!("assert_true({value}, '{value}' is not true!)"),
        ("raise_error", [text]) => {
            format!("raise_error(USER_RAISED_EXCEPTION, map(errorMessage, {text}))")
        }
        ("convert_timezone", [zone, time]) => {
            format!("convert_timezone(current_timezone(), {zone}, {time})")
        }
        ("aggregate" | "reduce", [array, start, merge]) => {
            let as_it_is = format!("lambdafunction({VARIABLE}, {VARIABLE})");
            format!("{name}({array}, {start}, {merge}, {as_it_is})")
        }
        ("array_sort", [array]) => format!("array_sort({array}, {})", natural_order()),
        ("shiftrightunsigned", [left, right]) => format!("({left} >>> {right})"),
        (known, _) if IN_CAPITALS.contains(&known) => {
            call(&known.to_uppercase(), &arguments.join(", "))
        }
        _ => call(name, &arguments.join(", ")),
    }
}

/// The lambda by which an array is sorted when none is given: NULL last.
fn natural_order() -> String {
    let is_null = format!("({VARIABLE} IS NULL)");
    let compared =
        format!("(IF(({VARIABLE} < {VARIABLE}), -1, (IF(({VARIABLE} > {VARIABLE}), 1, 0))))");
    format!(
        "lambdafunction((IF(({is_null} AND {is_null}), 0, (IF({is_null}, 1, (IF({is_null}, -1, {compared})))))), {VARIABLE}, {VARIABLE})"
    )
}
