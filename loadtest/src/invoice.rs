//! The invoices that are sent: about 227 bytes of JSON, made from a number that can be read back out of any output record.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Digits of the sequence number in a `BillNo`.
const DIGITS: usize = 10;

/// One stream of invoices. `BillNo` is `<mark>-<10 digits>`; the mark differs from run to run, so that records which an
/// earlier run left in a topic are never taken for this run's.
#[derive(Clone, Debug)]
pub(crate) struct Invoices {
    mark: [u8; 7],
}

impl Invoices {
    /// A stream with a mark of its own, taken from the clock and the process id.
    pub(crate) fn new() -> Self {
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos() as u64);
        Self::marked(mix(nanos ^ (u64::from(std::process::id()) << 40)))
    }

    /// A stream whose mark is made from `seed`.
    pub(crate) fn marked(seed: u64) -> Self {
        let mut mark = *b"000000-";
        for (place, byte) in mark.iter_mut().take(6).enumerate() {
            *byte = b"0123456789abcdef"[(seed >> (4 * place)) as usize & 15];
        }
        Invoices { mark }
    }

    /// Writes key (`BillNo`) and value of invoice `sequence`; both buffers are cleared first. `created_ms` is the
    /// `CreatedTime`, milliseconds since 1970.
    pub(crate) fn write(
        &self,
        sequence: u64,
        created_ms: i64,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) {
        let dice = mix(sequence);
        key.clear();
        key.extend_from_slice(&self.mark);
        // Writing to a Vec cannot fail.
        let _ = write!(key, "{sequence:0DIGITS$}");
        value.clear();
        value.extend_from_slice(b"{\"BillNo\":\"");
        value.extend_from_slice(key);
        let _ = write!(
            value,
            "\",\"CreatedTime\":{created_ms},\"StoreID\":\"ST{:04}\",\"PaymentMode\":\"{}\",\"CustomerCardNo\":\"CC{:08}\",\
             \"TotalValue\":{}.{:02},\"PosID\":\"POS{:03}\",\"CashierID\":\"C{:04}\",\"DeliveryType\":\"{}\",\"NumberOfItems\":{}}}",
            dice % 500,
            ["CASH", "CARD", "UPI"][(dice >> 9) as usize % 3],
            (dice >> 11) % 100_000,
            100 + (dice >> 28) % 9_000,
            (dice >> 41) % 100,
            (dice >> 48) % 64,
            (dice >> 20) % 4_000,
            ["DELIVERY", "TAKEOUT"][(dice >> 57) as usize % 2],
            1 + (dice >> 60),
        );
    }

    /// The sequence number of an output record: read from its key where that is a `BillNo` of this stream, otherwise from
    /// the first `BillNo` of this stream in its value. `None` for a record of another stream.
    pub(crate) fn sequence(&self, key: &[u8], value: &[u8]) -> Option<u64> {
        if key.len() == self.mark.len() + DIGITS && key.starts_with(&self.mark) {
            return digits(&key[self.mark.len()..]);
        }
        let place = value
            .windows(self.mark.len())
            .position(|w| w == self.mark)?;
        digits(value.get(place + self.mark.len()..place + self.mark.len() + DIGITS)?)
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// SplitMix64's finaliser: a well spread number from any number.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_is_json_of_ten_fields_and_about_227_bytes() {
        let invoices = Invoices::marked(7);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut sizes = Vec::new();
        for sequence in 0..2_000 {
            invoices.write(sequence, 1_763_000_000_000, &mut key, &mut value);
            let row: serde_json::Value = serde_json::from_slice(&value).unwrap();
            assert_eq!(row.as_object().unwrap().len(), 10);
            assert_eq!(row["BillNo"].as_str().unwrap().as_bytes(), key);
            assert!(row["CreatedTime"].is_i64() && row["TotalValue"].is_f64());
            sizes.push(value.len());
        }
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((224..=230).contains(&mean), "mean size {mean}");
    }

    #[test]
    fn the_number_is_read_back_from_the_key_or_from_the_value() {
        let invoices = Invoices::marked(7);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        invoices.write(42, 0, &mut key, &mut value);
        assert_eq!(invoices.sequence(&key, b""), Some(42));
        assert_eq!(invoices.sequence(b"", &value), Some(42));
        assert_eq!(invoices.sequence(b"other", &value), Some(42));
    }

    #[test]
    fn a_record_of_another_run_has_no_number() {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        Invoices::marked(8).write(42, 0, &mut key, &mut value);
        assert_eq!(Invoices::marked(7).sequence(&key, &value), None);
        assert_eq!(
            Invoices::marked(7).sequence(b"", b"{\"BillNo\":\"700000-00"),
            None
        );
    }
}
