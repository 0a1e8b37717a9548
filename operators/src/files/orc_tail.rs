//! What the footers of an ORC file say and its reader does not heed: the calendar of old days, and zones of writers that are
//! known by other names.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use orc_rust::compression::{Compression, Decompressor};
use orc_rust::proto::r#type::Kind;
use orc_rust::proto::{CalendarKind, CompressionKind, Footer, PostScript, StripeFooter, Type};
use orc_rust::reader::ChunkReader;
use orc_rust::reader::metadata::{FileMetadata, read_metadata};
use prost::Message;

use super::content::{Onward, Places};
use crate::expr::calendar::{Zone, zone};

/// A longer footer is not looked into: its header has no room for the length.
const FOOTER_MAX: usize = (1 << 23) - 1;

/// Deeper types no table has.
const DEPTH_MAX: usize = 100;

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
            as_it_is(&text).into()
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

/// What a file says of itself, at its end.
pub(super) fn footer(places: &Places) -> io::Result<Footer> {
    let size = places.len();
    let length = places
        .get_bytes(size.saturating_sub(1), 1)?
        .first()
        .copied();
    let tail = u64::from(length.unwrap_or_default());
    let postscript = places.get_bytes(size.saturating_sub(1 + tail), tail)?;
    let postscript = PostScript::decode(postscript)?;
    let length = postscript.footer_length();
    let place = size.saturating_sub(length.saturating_add(1 + tail));
    let footer = unpacked(places.get_bytes(place, length)?, packing(&postscript)?)?;
    Ok(Footer::decode(footer.as_slice())?)
}

/// How a file's parts are packed. The reader alone can name it, of a file that it has read: so it is given one without a row
/// that is packed in the same way.
fn packing(postscript: &PostScript) -> io::Result<Option<Compression>> {
    if postscript.compression() == CompressionKind::None {
        return Ok(None);
    }
    let nothing = Footer {
        types: vec![Type {
            kind: Some(Kind::Struct.into()),
            ..Type::default()
        }],
        number_of_rows: Some(0),
        ..Footer::default()
    };
    let footer = as_it_is(&nothing.encode_to_vec());
    let postscript = PostScript {
        footer_length: Some(footer.len() as u64),
        metadata_length: Some(0),
        ..postscript.clone()
    };
    let mut file = [footer, postscript.encode_to_vec()].concat();
    file.push(u8::try_from(postscript.encoded_len()).map_err(io::Error::other)?);
    let read = read_metadata(&mut Bytes::from(file)).map_err(io::Error::other)?;
    Ok(read.compression())
}

/// A block of a packed file that is not packed itself; there is room for [`FOOTER_MAX`] bytes.
fn as_it_is(bytes: &[u8]) -> Vec<u8> {
    let [first, second, third, _] =
        u32::try_from(bytes.len() << 1 | 1).map_or([0; 4], u32::to_le_bytes);
    [&[first, second, third], bytes].concat()
}

/// Whether days and times before 1582-10-15 are those of the Julian calendar: so Java writes them unless the file says otherwise.
pub(super) fn is_hybrid(footer: &Footer) -> bool {
    footer.calendar() != CalendarKind::ProlepticGregorian
}

/// Whether the types are a tree of bearable depth: each stands behind the one that it is a part of, and is a part
/// of no other. The reader follows them whatever they are, and a circle would end the process.
pub(super) fn is_tree(footer: &Footer) -> bool {
    let mut depths = vec![0_usize; footer.types.len()];
    for (place, one) in footer.types.iter().enumerate() {
        let below = depths[place] + 1;
        for part in &one.subtypes {
            let part = *part as usize;
            let known = depths.get(part).is_none_or(|depth| *depth > 0);
            if part <= place || known || below > DEPTH_MAX {
                return false;
            }
            depths[part] = below;
        }
    }
    true
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
    fn types_are_a_tree() {
        let footer = |parts: &[&[u32]]| Footer {
            types: parts
                .iter()
                .map(|parts| Type {
                    subtypes: parts.to_vec(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        assert!(is_tree(&footer(&[])));
        assert!(is_tree(&footer(&[&[1, 3], &[2], &[], &[]])));
        assert!(!is_tree(&footer(&[&[0]])));
        assert!(!is_tree(&footer(&[&[1], &[0]])));
        assert!(!is_tree(&footer(&[&[1]])));
        assert!(!is_tree(&footer(&[&[1, 1], &[]])));
        let deep: Vec<[u32; 1]> = (1..1000).map(|next| [next]).collect();
        let deep: Vec<&[u32]> = deep.iter().map(<[u32; 1]>::as_slice).collect();
        assert!(!is_tree(&footer(&deep)));
    }

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
