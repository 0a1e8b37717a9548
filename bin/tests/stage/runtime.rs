//! Models that tests use, and the runtime that runs them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The folder with the models that tests use.
pub fn models() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models")
}

/// The runtime's library: what ORT_DYLIB_PATH says, else the one that `tests/models/make runtime` installs.
pub fn runtime() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        std::env::var("ORT_DYLIB_PATH").unwrap_or_else(|_| {
            let made = Command::new(models().join("make"))
                .arg("runtime")
                .output()
                .unwrap();
            String::from_utf8(made.stdout).unwrap().trim().to_owned()
        })
    })
}

/// The SHA-256 of a file, as models show it.
pub fn hash_of(file: &std::path::Path) -> String {
    let made = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(made.stdout).unwrap()[..64].to_owned()
}
