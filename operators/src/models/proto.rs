//! What an ONNX file says of itself: inputs, outputs and metadata, read without the runtime.
//!
//! The file is a protobuf message. Only the few fields that a check needs are looked at, by number; all others are stepped
//! over.

use smol_str::SmolStr;

use super::signature::{Element, Port};

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// The custom metadata: `feature_names` among it.
    pub(super) metadata: Vec<(String, String)>,
}

/// Reads the facts; None when the bytes are no ONNX model.
pub(super) fn read(bytes: &[u8]) -> Option<Facts> {
    let mut facts = Facts::default();
    let mut graph = None;
    for field in fields(bytes) {
        match field? {
            (7, Wire::Bytes(inside)) => graph = Some(inside),
            (14, Wire::Bytes(entry)) => {
                let text = |number| text(find(entry, number)?);
                facts.metadata.push((text(1)?, text(2).unwrap_or_default()));
            }
            _ => {}
        }
    }
    let mut constants = Vec::new();
    for field in fields(graph?) {
        match field? {
            (5, Wire::Bytes(tensor)) => constants.push(text(find(tensor, 8)?)?),
            (11, Wire::Bytes(value)) => facts.inputs.push(port(value)?),
            (12, Wire::Bytes(value)) => facts.outputs.push(port(value)?),
            _ => {}
        }
    }
    // Older files list constants among the inputs too.
    let constant = |port: &Port| constants.iter().any(|name| *name == port.name);
    facts.inputs.retain(|port| !constant(port));
    (!facts.outputs.is_empty()).then_some(facts)
}

/// An input or output: a name and the type of a tensor, or of something else.
fn port(value: &[u8]) -> Option<Port> {
    let name = SmolStr::new(text(find(value, 1)?)?);
    let tensor = find(value, 2).and_then(|kind| find(kind, 1));
    let Some(tensor) = tensor else {
        return Some(Port {
            name,
            element: Element::Other,
            dims: Vec::new(),
        });
    };
    let mut dims = Vec::new();
    let mut element = Element::Other;
    for field in fields(tensor) {
        match field? {
            (1, Wire::Number(number)) => element = Element::of(number),
            (2, Wire::Bytes(shape)) => {
                for dim in fields(shape) {
                    if let (1, Wire::Bytes(dim)) = dim? {
                        let known = fields(dim).find_map(|field| match field {
                            Some((1, Wire::Number(size))) => i64::try_from(size).ok(),
                            _ => None,
                        });
                        dims.push(known.filter(|size| *size > 0).unwrap_or(-1));
                    }
                }
            }
            _ => {}
        }
    }
    Some(Port {
        name,
        element,
        dims,
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// The first field of this number that holds bytes.
fn find(message: &[u8], wanted: u64) -> Option<&[u8]> {
    fields(message).find_map(|field| match field {
        Some((number, Wire::Bytes(bytes))) if number == wanted => Some(bytes),
        _ => None,
    })
}

/// The content of a field.
enum Wire<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The fields of a message; None once, at the end, when the bytes are not one.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Option<(u64, Wire<'_>)>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let read = field(&mut rest);
        if read.is_none() {
            rest = &[];
        }
        Some(read)
    })
}

fn field<'b>(rest: &mut &'b [u8]) -> Option<(u64, Wire<'b>)> {
    let key = varint(rest)?;
    let content = match key & 7 {
        0 => Wire::Number(varint(rest)?),
        1 => Wire::Bytes(take(rest, 8)?),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Wire::Bytes(take(rest, length)?)
        }
        5 => Wire::Bytes(take(rest, 4)?),
        _ => return None,
    };
    Some((key >> 3, content))
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_model_tells_its_inputs_outputs_and_feature_names() {
        let facts = read(include_bytes!(
            "../../../tests/models/gradient_boosting.onnx"
        ))
        .unwrap();
        assert_eq!(facts.inputs.len(), 1);
        assert_eq!(facts.inputs[0].dims, [-1, 10]);
        let outputs: Vec<&str> = facts.outputs.iter().map(|port| &*port.name).collect();
        assert_eq!(outputs, ["label", "probabilities"]);
        assert_eq!(facts.outputs[1].element, Element::Float);
        assert_eq!(facts.metadata[0].0, "feature_names");
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_no_model_or_another_one_and_nothing_worse(cut in 0_usize..3_000, flip in 0_usize..3_000) {
            let mut bytes = include_bytes!("../../../tests/models/logistic.onnx").to_vec();
            let place = flip % bytes.len();
            bytes[place] ^= 0x55;
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }
}
