//! Which file a path means: itself, or the newest version in a folder; and what it holds, where it can be a model at all.

use std::cmp::Ordering;
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Largest model, and largest file of golden rows, in bytes, however it comes here.
pub const MODEL_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A file as it is now: while nothing of this changes its content is taken to be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) path: PathBuf,
    len: u64,
    changed: (i64, i64),
    inode: u64,
}

/// The file that a path means.
///
/// # Errors
/// When there is none, in words for the user.
pub(super) fn look(path: &Path) -> Result<Seen, String> {
    let shown = path.display();
    let about = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no {shown} (relative paths begin at the working directory)")
        }
        _ => format!("{shown} cannot be read: {error}"),
    })?;
    let (path, about) = if about.is_dir() {
        let file = newest(path)?;
        let about = fs::metadata(&file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        (file, about)
    } else {
        (path.to_owned(), about)
    };
    fit(&path, &about)?;
    Ok(Seen {
        len: about.len(),
        changed: (about.mtime(), about.mtime_nsec()),
        inode: about.ino(),
        path,
    })
}

/// Whether it can be read to its end: a pipe may never answer, a device never ends.
fn fit(path: &Path, about: &Metadata) -> Result<(), String> {
    let shown = path.display();
    if about.is_dir() {
        return Err(format!("{shown} is a folder: name the file in it"));
    }
    if !about.is_file() {
        return Err(format!(
            "{shown} is no regular file: pipes and devices are not read, copy what it holds into a file"
        ));
    }
    match about.len() {
        len if len > MODEL_BYTES_MAX => Err(too_large(path, &format!("has {len} bytes"))),
        _ => Ok(()),
    }
}

fn too_large(path: &Path, has: &str) -> String {
    let most = MODEL_BYTES_MAX / (1024 * 1024);
    format!(
        "{} {has}; at most {most} MiB ({MODEL_BYTES_MAX} bytes) are read",
        path.display()
    )
}

/// What a file holds: a model, or the golden rows of one. A regular file and no larger than a model may be, else it is not read.
///
/// # Errors
/// When it is not, or cannot be read, in words for the user that name it.
pub fn content(path: &Path) -> Result<Vec<u8>, String> {
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no {} (relative paths begin at the working directory)",
            path.display()
        ),
        _ => format!("{} cannot be read: {error}", path.display()),
    };
    // What it is, is asked of the open file: the name may lead elsewhere a moment later. To open a pipe waits for nobody.
    let file = fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(unread)?;
    fit(path, &file.metadata().map_err(unread)?)?;
    let mut bytes = Vec::new();
    // It may grow while it is read, and some files of the system tell no length.
    let mut most = file.take(MODEL_BYTES_MAX + 1);
    most.read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > MODEL_BYTES_MAX {
        return Err(too_large(path, "has more bytes"));
    }
    Ok(bytes)
}

/// The file in a folder whose name is the newest version.
fn newest(folder: &Path) -> Result<PathBuf, String> {
    let shown = folder.display();
    let entries =
        fs::read_dir(folder).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let files = entries.flatten().map(|entry| entry.path());
    let models = files.filter(|path| {
        let model = path
            .extension()
            .is_some_and(|extension| extension == "onnx");
        let hidden = name(path).starts_with('.');
        model && !hidden && path.is_file()
    });
    models
        .max_by(|a, b| by_version(&name(a), &name(b)))
        .ok_or_else(|| format!("the folder {shown} holds no file that ends with .onnx"))
}

/// The version that a file is: what its bytes say, else its name.
pub(super) fn version(path: &Path, bytes: &[u8]) -> String {
    super::version_of(bytes).unwrap_or_else(|| name(path))
}

/// A file's name without `.onnx`.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".onnx").unwrap_or(&name).to_owned()
}

/// The order of versions: numbers in names by their value, all else by its letters.
fn by_version(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.chars().peekable(), b.chars().peekable());
    loop {
        match (a.peek().copied(), b.peek().copied()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
                    let mut digits = String::new();
                    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                        digits.push(digit);
                    }
                    let digits = digits.trim_start_matches('0').to_owned();
                    (digits.len(), digits)
                };
                let order = number(&mut a).cmp(&number(&mut b));
                if order != Ordering::Equal {
                    return order;
                }
            }
            (Some(x), Some(y)) => {
                if x != y {
                    return x.cmp(&y);
                }
                a.next();
                b.next();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_by_their_value() {
        let mut names = [
            "fraud-10",
            "fraud-9",
            "fraud-9.1",
            "fraud-010b",
            "fraud-2026-11-02",
            "fraud-2026-9-30",
        ];
        names.sort_by(|a, b| by_version(a, b));
        assert_eq!(
            names,
            [
                "fraud-9",
                "fraud-9.1",
                "fraud-10",
                "fraud-010b",
                "fraud-2026-9-30",
                "fraud-2026-11-02"
            ]
        );
    }

    #[test]
    fn only_a_regular_file_of_a_models_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("model.onnx"), "bytes").unwrap();
        assert_eq!(content(&path("model.onnx")).unwrap(), b"bytes");
        let pipe = std::ffi::CString::new(path("pipe").to_str().unwrap()).unwrap();
        // SAFETY: a terminated string.
        assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
        // Nothing of it lies on the disk.
        let sparse = fs::File::create(path("sparse")).unwrap();
        sparse.set_len(20 << 30).unwrap();
        fs::write(path("largest"), "").unwrap();
        let largest = fs::File::create(path("largest")).unwrap();
        largest.set_len(MODEL_BYTES_MAX + 1).unwrap();
        for (name, why) in [
            (path("pipe"), "is no regular file"),
            (PathBuf::from("/dev/zero"), "is no regular file"),
            (path("sparse"), "has 21474836480 bytes; at most 256 MiB"),
            (path("largest"), "has 268435457 bytes; at most 256 MiB"),
            (path("none"), "there is no"),
        ] {
            let shown = name.display().to_string();
            for said in [content(&name).unwrap_err(), look(&name).unwrap_err()] {
                assert!(said.contains(why) && said.contains(&shown), "{said}");
            }
        }
        let said = content(folder.path()).unwrap_err();
        assert!(said.contains("is a folder"), "{said}");
    }

    #[test]
    fn a_folder_is_its_newest_version() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            look(folder.path())
                .unwrap_err()
                .contains("no file that ends")
        );
        for name in ["m-2.onnx", "m-10.onnx", "m-11.txt", ".m-12.onnx"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        assert_eq!(name(&look(folder.path()).unwrap().path), "m-10");
        assert!(
            look(&folder.path().join("none"))
                .unwrap_err()
                .contains("there is no")
        );
    }
}
