//! What this program is: its version, what it was built with and from.

use crate::console;
use crate::refusal::End;

/// Each feature that a build may lack, and whether this one has it.
const FEATURES: [(&str, bool); 7] = [
    ("avro", cfg!(feature = "avro")),
    ("kinesis", cfg!(feature = "kinesis")),
    ("object-store", cfg!(feature = "object-store")),
    ("onnx", cfg!(feature = "onnx")),
    ("orc", cfg!(feature = "orc")),
    ("otel", cfg!(feature = "otel")),
    ("parquet", cfg!(feature = "parquet")),
];

/// `thalweg version`. The release script and the image tell the commit; a build by hand need not know one.
pub(crate) fn version() -> End {
    let features: Vec<&str> = FEATURES
        .iter()
        .filter_map(|(name, here)| here.then_some(*name))
        .collect();
    let features = if features.is_empty() {
        "none".to_owned()
    } else {
        features.join(", ")
    };
    let commit = option_env!("THALWEG_COMMIT").filter(|commit| !commit.is_empty());
    console::line(&format!(
        "thalweg {}\nfeatures  {features}\ncommit    {}",
        env!("CARGO_PKG_VERSION"),
        commit.unwrap_or("not told to this build (THALWEG_COMMIT)")
    ));
    End::Clean
}
