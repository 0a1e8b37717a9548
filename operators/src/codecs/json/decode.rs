//! The decoder: a record's bytes into the wanted columns.

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::Field;

use super::JsonOptions;
use super::absence::Absence;
use super::object::{Context, Object};
use super::scan::{Fault, Scanner};
use crate::codecs::{Decoded, Decoder, Mode};

/// Decodes one object per record.
pub(super) struct JsonDecoder {
    object: Object,
    context: Context,
    absence: Absence,
    mode: Mode,
    table: SmolStr,
}

impl JsonDecoder {
    pub(super) fn new(
        columns: &[Field],
        wanted: &[usize],
        mode: Mode,
        options: &JsonOptions,
    ) -> Self {
        let object = Object::new(wanted.iter().filter_map(|place| columns.get(*place)));
        Self {
            absence: Absence::new(object.len()),
            object,
            context: Context {
                scratch: String::new(),
                zone: options.zone,
                permissive: mode == Mode::Permissive,
            },
            mode,
            table: options.table.clone(),
        }
    }

    #[inline]
    fn read(&mut self, bytes: &[u8], values: &mut [Value]) -> Result<(), Fault> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                return Err(Fault::Syntax {
                    at: error.valid_up_to(),
                    what: "the bytes are not UTF-8",
                });
            }
        };
        let mut scanner = begin(text)?;
        let record = self.absence.begin();
        let last = self.absence.last();
        self.object
            .read(&mut scanner, &mut self.context, values, |slot| {
                last[slot] = record;
            })?;
        self.absence.end(&self.object, &self.table);
        scanner.end()
    }

    /// What the mode makes of a record that does not decode.
    #[cold]
    fn fault(
        &self,
        fault: &Fault,
        bytes: &[u8],
        row: &mut Row,
        base: usize,
    ) -> Result<Decoded, RecordError> {
        match (self.mode, fault) {
            (Mode::DropMalformed, _) => {
                row.truncate(base);
                Ok(Decoded::Dropped)
            }
            (Mode::Permissive, Fault::Syntax { .. }) if self.object.first_required().is_none() => {
                row[base..].fill(Value::Null);
                Ok(Decoded::Row)
            }
            _ => Err(error(fault, bytes)),
        }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, bytes: &[u8], row: &mut Row) -> Result<Decoded, RecordError> {
        let base = row.len();
        row.resize(base + self.object.len(), Value::Null);
        match self.read(bytes, &mut row[base..]) {
            Ok(()) => Ok(Decoded::Row),
            Err(fault) => self.fault(&fault, bytes, row, base),
        }
    }

    fn absences(&self) -> u64 {
        self.absence.count()
    }
}

/// A scanner that stands on the value, where there is one.
pub(super) fn begin(text: &str) -> Result<Scanner<'_>, Fault> {
    let what = if text.is_empty() {
        "the value is empty"
    } else if text.starts_with('\u{feff}') {
        "a byte order mark stands before the value"
    } else {
        let mut scanner = Scanner::new(text);
        scanner.space();
        return Ok(scanner);
    };
    Err(Fault::Syntax { at: 0, what })
}

/// The error of a record that does not decode.
pub(super) fn error(fault: &Fault, bytes: &[u8]) -> RecordError {
    // So much of the content helps, more only fills the log.
    const SHOWN: usize = 200;
    let (reason, shown) = match fault {
        Fault::Syntax { at, what } => {
            let from = at.saturating_sub(SHOWN / 2);
            (format!("not JSON: {what}, at byte {at}"), from..bytes.len())
        }
        Fault::Misfit(misfit) => (
            format!("column `{}` {}", misfit.path, misfit.what),
            misfit.span.clone(),
        ),
    };
    let shown = bytes.get(shown).unwrap_or_default();
    let cut = &shown[..shown.len().min(SHOWN)];
    RecordError::decode(reason).with_content(String::from_utf8_lossy(cut))
}
