//! The decoder: a record's bytes into the wanted columns.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::Field;

use super::JsonOptions;
use super::absence::Absence;
use super::object::{Context, Object};
use super::scan::{Fault, Scanner};
use super::syntax::Syntax;
use crate::codecs::{Decoded, Decoder, Mode, tell_once};

/// Decodes one object per record.
pub(super) struct JsonDecoder {
    object: Object,
    context: Context,
    absence: Absence,
    mode: Mode,
    table: SmolStr,
    told: Arc<AtomicBool>,
    syntax: Syntax,
    /// Whether nothing may follow the object.
    whole: bool,
    /// Which of the wanted columns takes the text of a record that does not fit.
    corrupt: Option<usize>,
}

impl JsonDecoder {
    pub(super) fn new(
        columns: &[Field],
        wanted: &[usize],
        mode: Mode,
        options: &JsonOptions,
    ) -> Self {
        let wanted: Vec<&Field> = wanted
            .iter()
            .filter_map(|place| columns.get(*place))
            .collect();
        let corrupt = options.corrupt_column.as_ref();
        let corrupt = wanted
            .iter()
            .position(|column| Some(&column.name) == corrupt);
        let fields = wanted.iter().enumerate();
        let fields = fields.filter(|(place, _)| Some(*place) != corrupt);
        let object = Object::new(fields.map(|(_, field)| *field));
        Self {
            absence: Absence::new(&object, &options.elsewhere),
            object,
            context: Context::new(mode, options),
            mode,
            table: options.table.clone(),
            told: Arc::clone(&options.told),
            syntax: options.syntax,
            whole: !options.trailing,
            corrupt,
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
        let mut scanner = begin(text, self.syntax)?;
        let record = self.absence.begin();
        let last = self.absence.last();
        self.object
            .read(&mut scanner, &mut self.context, values, |slot| {
                last[slot] = record;
            })?;
        self.absence.end(&self.object, &self.table);
        if self.whole {
            return scanner.end();
        }
        Ok(())
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

impl Drop for JsonDecoder {
    fn drop(&mut self) {
        if let Some(strange) = self.absence.strange(&self.object) {
            tell_once(&self.table, &self.told, &strange);
        }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, bytes: &[u8], row: &mut Row) -> Result<Decoded, RecordError> {
        let base = row.len();
        row.resize(base + self.object.len(), Value::Null);
        self.context.misfits = false;
        let (decoded, broken) = match self.read(bytes, &mut row[base..]) {
            Ok(()) => (Ok(Decoded::Row), self.context.misfits),
            Err(fault) => (self.fault(&fault, bytes, row, base), true),
        };
        if let (Some(place), Ok(Decoded::Row)) = (self.corrupt, &decoded) {
            let text = broken.then(|| SmolStr::new(String::from_utf8_lossy(bytes)));
            row.insert(base + place, text.map_or(Value::Null, Value::String));
        }
        decoded
    }

    fn absences(&self) -> u64 {
        self.absence.count()
    }
}

/// A scanner that stands on the value, where there is one.
pub(super) fn begin(text: &str, syntax: Syntax) -> Result<Scanner<'_>, Fault> {
    let what = if text.is_empty() {
        "the value is empty"
    } else if text.starts_with('\u{feff}') {
        "a byte order mark stands before the value"
    } else {
        let mut scanner = Scanner::new(text, syntax);
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
        Fault::Misfit(misfit) if misfit.path.is_empty() => {
            (format!("the value {}", misfit.what), misfit.span.clone())
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
