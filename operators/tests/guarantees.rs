//! The table of delivery errors in `docs/guarantees.md` is that of the code.
//!
//! `THALWEG_BLESS=1 cargo test -p thalweg-operators --test guarantees` writes it.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt::Write;
use std::path::PathBuf;

use thalweg_engine::error::Remedy;
use thalweg_operators::kafka::DELIVERY_ERRORS;

const BEGIN: &str = "<!-- delivery errors: begin -->\n";
const END: &str = "<!-- delivery errors: end -->";

/// The names of all errors that the client knows.
fn names() -> BTreeMap<i32, String> {
    let mut descriptions = std::ptr::null();
    let mut count = 0;
    // SAFETY: the call fills in a table of `count` entries that lives as long as the process; its names are terminated.
    unsafe {
        rdkafka_sys::rd_kafka_get_err_descs(&raw mut descriptions, &raw mut count);
        std::slice::from_raw_parts(descriptions, count)
            .iter()
            .filter(|known| !known.name.is_null())
            .map(|known| {
                let name = CStr::from_ptr(known.name).to_string_lossy().into_owned();
                (known.code as i32, name)
            })
            .collect()
    }
}

fn table() -> String {
    let names = names();
    let mut out = String::from("| error | number | then | what to do |\n| --- | --- | --- | --- |\n");
    for error in DELIVERY_ERRORS {
        let name = names.get(&error.code).expect("the client knows the error");
        let then = match error.remedy {
            Remedy::Restart => "new run",
            Remedy::End | Remedy::Refuse => "the query ends",
        };
        let _ = writeln!(
            out,
            "| `{name}` | {} | {then} | {} |",
            error.code, error.advice
        );
    }
    out
}

#[test]
fn the_table_of_delivery_errors_is_that_of_the_code() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/guarantees.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let from = text.find(BEGIN).expect("the begin mark") + BEGIN.len();
    let to = text.find(END).expect("the end mark");
    let fresh = format!("{}{}{}", &text[..from], table(), &text[to..]);
    if std::env::var_os("THALWEG_BLESS").is_some() {
        std::fs::write(&path, fresh).unwrap();
        return;
    }
    assert!(
        text == fresh,
        "docs/guarantees.md is not up to date: run this test with THALWEG_BLESS=1"
    );
}
