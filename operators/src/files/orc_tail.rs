//! What the footers of an ORC file say and its reader does not heed: the calendar of old days, and zones of writers that are
//! known by other names.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use orc_rust::compression::{Compression, Decompressor};
use orc_rust::proto::{CalendarKind, Footer, PostScript, StripeFooter};
use orc_rust::reader::ChunkReader;
use orc_rust::reader::metadata::FileMetadata;
use prost::Message;

use super::content::{Onward, Places};
use crate::expr::calendar::{Zone, zone};

/// A longer footer is not looked into: its header has no room for the length.
const FOOTER_MAX: usize = (1 << 23) - 1;

/// The bytes of an ORC file as its reader takes them: a stripe whose writer's zone has a name that the reader does not know
/// names the same zone by one that it does. The reader would panic.
pub(super) struct Footers {
    places: Arc<Places>,
    known: Arc<Known>,
}

/// What is known of a file once its tail is read.
#[derive(Default)]
pub(super) struct Known {
    stripes: OnceLock<Stripes>,
    /// The zone of a writer that is none, or has no name.
    strange: OnceLock<String>,
}

struct Stripes {
    compression: Option<Compression>,
    /// Where their footers begin.
    footers: Vec<u64>,
}

impl Footers {
    pub(super) fn of(places: Arc<Places>) -> Self {
        Self {
            places,
            known: Arc::default(),
        }
    }

    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known)
    }
}

impl Known {
    /// The tail is read: what comes now are stripes.
    pub(super) fn tail(&self, metadata: &FileMetadata) {
        let stripes = metadata.stripe_metadatas().iter();
        let _ = self.stripes.set(Stripes {
            compression: metadata.compression(),
            footers: stripes.map(|stripe| stripe.footer_offset()).collect(),
        });
    }

    /// What to say of a stripe that could not be read because of its writer's zone.
    pub(super) fn strange(&self) -> Option<String> {
        self.strange.get().map(|zone| {
            format!("the zone of the file's writer, `{zone}`, is not known: write the file in UTC")
        })
    }
}

impl ChunkReader for Footers {
    type T = Onward;

    fn len(&self) -> u64 {
        self.places.len()
    }

    fn get_read(&self, offset_from_start: u64) -> io::Result<Onward> {
        self.places.get_read(offset_from_start)
    }

    fn get_bytes(&self, offset_from_start: u64, length: u64) -> io::Result<Bytes> {
        let bytes = self.places.get_bytes(offset_from_start, length)?;
        let Some(stripes) = self.known.stripes.get() else {
            return Ok(bytes);
        };
        if !stripes.footers.contains(&offset_from_start) {
            return Ok(bytes);
        }
        let text = unpacked(bytes.clone(), stripes.compression)?;
        let mut footer = StripeFooter::decode(text.as_slice())?;
        let named = match &footer.writer_timezone {
            Some(zone) if zone.parse::<chrono_tz::Tz>().is_err() => zone,
            _ => return Ok(bytes),
        };
        let Some(name) = name(named) else {
            let _ = self.known.strange.set(named.clone());
            return Err(io::ErrorKind::InvalidData.into());
        };
        footer.writer_timezone = Some(name);
        let text = footer.encode_to_vec();
        if text.len() > FOOTER_MAX {
            return Ok(bytes);
        }
        Ok(if stripes.compression.is_some() {
            // One block that is not packed.
            let [first, second, third, _] =
                u32::try_from(text.len() << 1 | 1).map_or([0; 4], u32::to_le_bytes);
            [&[first, second, third], text.as_slice()].concat().into()
        } else {
            text.into()
        })
    }
}

/// The name in the database of zones of one that Java calls otherwise, such as `GMT+02:00` or `PST`; whole hours alone have one.
fn name(java: &str) -> Option<String> {
    match zone(java)? {
        Zone::Region(zone) => Some(zone.name().to_owned()),
        Zone::Fixed(0) => Some("UTC".to_owned()),
        // There the sign says how far west.
        Zone::Fixed(east) if east % 3600 == 0 => {
            let name = format!("Etc/GMT{:+}", -east / 3600);
            name.parse::<chrono_tz::Tz>().is_ok().then_some(name)
        }
        Zone::Fixed(_) => None,
    }
}

/// Whether days and times before 1582-10-15 are those of the Julian calendar: so Java writes them unless the file says otherwise.
pub(super) fn is_hybrid(places: &Places, metadata: &FileMetadata) -> io::Result<bool> {
    let size = places.len();
    let length = places.get_bytes(size - 1, 1)?.first().copied();
    let tail = u64::from(length.unwrap_or_default());
    let postscript = places.get_bytes(size.saturating_sub(1 + tail), tail)?;
    let length = PostScript::decode(postscript)?.footer_length();
    let place = size.saturating_sub(1 + tail + length);
    let footer = unpacked(places.get_bytes(place, length)?, metadata.compression())?;
    let footer = Footer::decode(footer.as_slice())?;
    Ok(footer.calendar() != CalendarKind::ProlepticGregorian)
}

fn unpacked(bytes: Bytes, compression: Option<Compression>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Decompressor::new(bytes, compression, Vec::new()).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_of_java_have_names_in_the_database() {
        for (java, known) in [
            ("GMT+02:00", Some("Etc/GMT-2")),
            ("GMT-11:00", Some("Etc/GMT+11")),
            ("GMT+00:00", Some("UTC")),
            ("PST", Some("America/Los_Angeles")),
            ("GMT+05:30", None),
            ("GMT+18:00", None),
            ("Mars", None),
        ] {
            assert_eq!(name(java).as_deref(), known, "{java}");
        }
    }
}
