//! JSON over several lines, as the option `pretty` of `to_json` has it.

/// Appends a compact text as Spark shows it to people: a line for each field, two blanks deeper in each object.
pub fn pretty(compact: &[u8], out: &mut Vec<u8>) {
    // Which of those that are open are objects.
    let mut open: Vec<bool> = Vec::new();
    let mut at = 0;
    while let Some(byte) = compact.get(at) {
        at += 1;
        match (byte, compact.get(at)) {
            (b'"', _) => {
                let end = at + string_length(&compact[at..]);
                out.extend_from_slice(&compact[at - 1..end]);
                at = end;
            }
            (b'{' | b'[', Some(close @ (b'}' | b']'))) => {
                out.extend_from_slice(&[*byte, b' ', *close]);
                at += 1;
            }
            (b'{', _) => {
                open.push(true);
                out.push(b'{');
                line(out, &open);
            }
            (b'[', _) => {
                open.push(false);
                out.extend_from_slice(b"[ ");
            }
            (b'}', _) => {
                open.pop();
                line(out, &open);
                out.push(b'}');
            }
            (b']', _) => {
                open.pop();
                out.extend_from_slice(b" ]");
            }
            (b',', _) if open.last() == Some(&true) => {
                out.push(b',');
                line(out, &open);
            }
            (b',', _) => out.extend_from_slice(b", "),
            (b':', _) => out.extend_from_slice(b" : "),
            (other, _) => out.push(*other),
        }
    }
}

/// How long the rest of a string is, with its quote.
fn string_length(rest: &[u8]) -> usize {
    let mut escaped = false;
    let end = rest.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |end| end + 1)
}

fn line(out: &mut Vec<u8>, open: &[bool]) {
    let depth = open.iter().filter(|object| **object).count();
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}
