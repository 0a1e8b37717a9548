//! The manual of all functions: of one row, over groups of rows, and windows of time.

use super::{Function, families, generators};
use crate::plan::over_call;
use crate::stateful::accumulators;

/// One function.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name, as Spark writes it.
    pub name: &'static str,
    /// Further names for the same function.
    pub aliases: &'static [&'static str],
    /// How it is called.
    pub signature: &'static str,
    /// One line on what it gives.
    pub about: &'static str,
    /// A call.
    pub example: &'static str,
    /// What the example gives; empty where it differs from run to run.
    pub result: &'static str,
}

impl From<&Function> for Entry {
    fn from(function: &Function) -> Self {
        Self {
            name: function.name,
            aliases: function.aliases,
            signature: function.signature,
            about: function.about,
            example: function.example,
            result: function.result,
        }
    }
}

impl From<&accumulators::Function> for Entry {
    fn from(function: &accumulators::Function) -> Self {
        Self {
            name: function.name,
            aliases: function.aliases,
            signature: function.signature,
            about: function.about,
            example: function.example,
            result: function.result,
        }
    }
}

/// Keys of a GROUP BY that are windows of time.
const WINDOWS: [Entry; 2] = [
    Entry {
        name: "window",
        aliases: &[],
        signature: "window(time, size[, slide[, start]])",
        about: "In GROUP BY: a group for each window of event time, or for each of several that overlap; its column is STRUCT<start, end>.",
        example: "GROUP BY window(ts, '10 minutes', '5 minutes')",
        result: "",
    },
    Entry {
        name: "session_window",
        aliases: &[],
        signature: "session_window(time, gap)",
        about: "In GROUP BY: a group for each session, which ends when no row has come for the gap; its column is STRUCT<start, end>.",
        example: "GROUP BY session_window(ts, '5 minutes'), user",
        result: "",
    },
];

/// Functions that give rows: alone in the list of a SELECT, or in a LATERAL VIEW. A result is a row as JSON, or several.
const ROWS: [Entry; 8] = [
    Entry {
        name: "explode",
        aliases: &[],
        signature: "explode(array or map)",
        about: "A row for each element, of a map with its key and value; none for NULL.",
        example: "explode(array(10, 20))",
        result: "{\"col\":10} {\"col\":20}",
    },
    Entry {
        name: "explode_outer",
        aliases: &[],
        signature: "explode_outer(array or map)",
        about: "As explode, but with a row of NULLs where there is no element.",
        example: "explode_outer(map('a', 1))",
        result: "{\"key\":\"a\",\"value\":1}",
    },
    Entry {
        name: "posexplode",
        aliases: &[],
        signature: "posexplode(array or map)",
        about: "As explode, with the element's place, from 0, before it.",
        example: "posexplode(array(10, 20))",
        result: "{\"pos\":0,\"col\":10} {\"pos\":1,\"col\":20}",
    },
    Entry {
        name: "posexplode_outer",
        aliases: &[],
        signature: "posexplode_outer(array or map)",
        about: "As posexplode, but with a row of NULLs where there is no element.",
        example: "posexplode_outer(array('x'))",
        result: "{\"pos\":0,\"col\":\"x\"}",
    },
    Entry {
        name: "inline",
        aliases: &[],
        signature: "inline(array of structs)",
        about: "A row for each struct, whose fields are its columns.",
        example: "inline(array(struct(1, 'a'), struct(2, 'b')))",
        result: "{\"col1\":1,\"col2\":\"a\"} {\"col1\":2,\"col2\":\"b\"}",
    },
    Entry {
        name: "inline_outer",
        aliases: &[],
        signature: "inline_outer(array of structs)",
        about: "As inline, but with a row of NULLs where there is no struct.",
        example: "inline_outer(array(struct(1, 'a')))",
        result: "{\"col1\":1,\"col2\":\"a\"}",
    },
    Entry {
        name: "stack",
        aliases: &[],
        signature: generators::STACK,
        about: "So many rows (a constant) of the values, in their order; the last is filled up with NULLs. The values of a column are of one type.",
        example: "stack(2, 'a', 1, 'b', 2)",
        result: "{\"col0\":\"a\",\"col1\":1} {\"col0\":\"b\",\"col1\":2}",
    },
    Entry {
        name: "json_tuple",
        aliases: &[],
        signature: generators::JSON_TUPLE,
        about: "One row of fields of a JSON object, as texts; NULL for those that it has not, and for what is no JSON.",
        example: "json_tuple('{\"a\":1,\"b\":\"x\"}', 'a', 'b')",
        result: "{\"c0\":\"1\",\"c1\":\"x\"}",
    },
];

/// Functions that have a meaning only with OVER. An example shows x of the rows in order of ts, and what each is answered.
const OVER_ROWS: [Entry; 4] = [
    Entry {
        name: "decayed_count",
        aliases: &[],
        signature: "decayed_count(half_life) OVER (... ORDER BY ts)",
        about: "How many rows of the key have come, each half as much with every half-life that has passed since its time. A late one adds what is left of it.",
        example: "decayed_count(INTERVAL 1 MINUTE) OVER (ORDER BY ts) [5, 7, 6]",
        result: "[1.0,1.5,1.75]",
    },
    Entry {
        name: "decayed_sum",
        aliases: &[],
        signature: "decayed_sum(x, half_life) OVER (... ORDER BY ts)",
        about: "The sum of x over all rows of the key, each half as much with every half-life that has passed since its time. A late one adds what is left of it.",
        example: "decayed_sum(x, INTERVAL 1 MINUTE) OVER (ORDER BY ts) [4, 6, 8]",
        result: "[4.0,8.0,12.0]",
    },
    Entry {
        name: "lag",
        aliases: &[],
        signature: "lag(x[, offset[, default]]) OVER (...)",
        about: "The x of the row so many before (1 unless it is said), in the order of the window; the default, or NULL, where there is none. Aggregates with OVER too.",
        example: "lag(x, 1, 0) OVER (ORDER BY ts) [5, 7, 6]",
        result: "[0,5,7]",
    },
    Entry {
        name: "row_number",
        aliases: &[],
        signature: "row_number() OVER (...)",
        about: "How many rows of the key have arrived, with this one.",
        example: "row_number() OVER (ORDER BY ts) [5, 7, 6]",
        result: "[1,2,3]",
    },
];

/// What asks a model of the job.
const MODELS: [Entry; 5] = [
    Entry {
        name: "predict",
        aliases: &[],
        signature: "predict('name', named_struct('feature', value, ...)) [FALLBACK value]",
        about: "The score of a model of the job, a DOUBLE; the FALLBACK where it fails or has no time left.",
        example: "predict('fraud', named_struct('amount', amount)) FALLBACK 0.5",
        result: "",
    },
    Entry {
        name: "predict_all",
        aliases: &[],
        signature: "predict_all('name', named_struct('feature', value, ...))",
        about: "All outputs of a model of the job, a STRUCT by their names.",
        example: "predict_all('fraud', named_struct('amount', amount)).label",
        result: "",
    },
    Entry {
        name: "predict_detail",
        aliases: &[],
        signature: "predict_detail('name', named_struct('feature', value, ...)) [FALLBACK value]",
        about: "The score, why the FALLBACK answered if it did, and the version that was asked: STRUCT<score, fallback, model>.",
        example: "predict_detail('fraud', named_struct('amount', amount)) FALLBACK 0.5",
        result: "",
    },
    Entry {
        name: "predict_shadow",
        aliases: &[],
        signature: "predict_shadow('name', named_struct('feature', value, ...))",
        about: "The score of the shadow of a model of the job, a DOUBLE; NULL where it does not answer.",
        example: "predict_shadow('fraud', named_struct('amount', amount))",
        result: "",
    },
    Entry {
        name: "model_info",
        aliases: &[],
        signature: "model_info('name')",
        about: "The version of a model that scores this record: STRUCT<name, version, hash>.",
        example: "model_info('fraud').version",
        result: "",
    },
];

/// What a function costs with OVER; None of those that have no form with OVER.
pub fn cost_with_over(name: &str) -> Option<&'static str> {
    over_call::cost(name)
}

/// Everything, by family.
pub fn manual() -> Vec<(&'static str, Vec<Entry>)> {
    let mut all: Vec<(&'static str, Vec<Entry>)> = families()
        .into_iter()
        .map(|(family, functions)| (family, functions.iter().map(Entry::from).collect()))
        .collect();
    all.push(("rows", ROWS.to_vec()));
    all.push(("aggregates", accumulators::all().map(Entry::from).collect()));
    all.push(("over rows", OVER_ROWS.to_vec()));
    all.push(("models", MODELS.to_vec()));
    for (family, entries) in &mut all {
        if *family == "windows of time" {
            entries.splice(0..0, WINDOWS);
        }
    }
    all
}
