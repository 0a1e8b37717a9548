//! The records that are sent, each made from a number that can be read back out of any output record: invoices of about
//! 227 bytes of JSON, keyed by their number or by their card, card transactions with planted fraud, or lines of ten words.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use crate::transactions::Transactions;

/// Digits of the sequence number in a `BillNo`.
const DIGITS: usize = 10;
/// Words of a line, and how many different ones there are.
const LINE_WORDS: u64 = 10;
const WORDS: u64 = 10_000;

/// What records are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Invoices, the key is `BillNo`
    Invoices,
    /// The same invoices, the key is `CustomerCardNo`: all of a card are in one partition
    Cards,
    /// Card transactions of about 250 bytes with planted fraud, the key is `card`
    Transactions,
    /// Lines of ten words out of 10,000, without a key
    Lines,
}

/// Options of what is sent.
#[derive(Args, Clone, Debug)]
pub(crate) struct PayloadArgs {
    /// What the records are
    #[arg(long, value_enum, default_value = "invoices")]
    pub(crate) payload: Kind,
    /// How many different cards the invoices or transactions have
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) cards: u64,
    /// What transactions are drawn from: the same number, the same transactions
    #[arg(long, default_value_t = 1)]
    pub(crate) payload_seed: u64,
}

impl PayloadArgs {
    /// A stream of such records, with a mark of its own.
    pub(crate) fn stream(&self) -> Payload {
        Payload {
            kind: self.payload,
            cards: self.cards,
            transactions: Transactions::new(self.payload_seed, self.cards),
            ..Payload::new()
        }
    }

    /// What is unusual about it, in words for tables.
    pub(crate) fn words(&self) -> String {
        let mut words = match self.payload {
            Kind::Invoices => String::new(),
            Kind::Cards => " keyed by card".to_owned(),
            Kind::Transactions => " (card transactions)".to_owned(),
            Kind::Lines => return " (lines of words)".to_owned(),
        };
        if self.cards != 100_000 {
            let _ =
                std::fmt::Write::write_fmt(&mut words, format_args!(" of {} cards", self.cards));
        }
        words
    }
}

/// One stream of records. `BillNo` is `<mark>-<10 digits>`; the mark differs from run to run, so that records which an
/// earlier run left in a topic are never taken for this run's.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    mark: [u8; 7],
    kind: Kind,
    cards: u64,
    transactions: Transactions,
}

impl Payload {
    /// Invoices by number, with a mark of their own, taken from the clock and the process id.
    pub(crate) fn new() -> Self {
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos() as u64);
        Self::marked(mix(nanos ^ (u64::from(std::process::id()) << 40)))
    }

    /// Invoices whose mark is made from `seed`.
    pub(crate) fn marked(seed: u64) -> Self {
        let mut mark = *b"000000-";
        for (place, byte) in mark.iter_mut().take(6).enumerate() {
            *byte = b"0123456789abcdef"[(seed >> (4 * place)) as usize & 15];
        }
        Payload {
            mark,
            kind: Kind::Invoices,
            cards: 100_000,
            transactions: Transactions::new(1, 100_000),
        }
    }

    /// Writes key and value of record `sequence`; both buffers are cleared first. `created_ms` is the `CreatedTime` of an
    /// invoice, milliseconds since 1970.
    pub(crate) fn write(
        &self,
        sequence: u64,
        created_ms: i64,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) {
        key.clear();
        value.clear();
        match self.kind {
            Kind::Lines => line(sequence, value),
            Kind::Invoices | Kind::Cards => self.invoice(sequence, created_ms, key, value),
            Kind::Transactions => {
                let id = self.id(sequence);
                self.transactions.write(sequence, &id, key, value);
            }
        }
    }

    /// The mark and the number.
    fn id(&self, sequence: u64) -> [u8; 17] {
        let mut id = [0; 17];
        id[..7].copy_from_slice(&self.mark);
        let _ = write!(&mut id[7..], "{sequence:0DIGITS$}");
        id
    }

    // Writing to a Vec cannot fail.
    fn invoice(&self, sequence: u64, created_ms: i64, key: &mut Vec<u8>, value: &mut Vec<u8>) {
        let dice = mix(sequence);
        let card = (dice >> 11) % self.cards;
        key.extend_from_slice(&self.mark);
        let _ = write!(key, "{sequence:0DIGITS$}");
        value.extend_from_slice(b"{\"BillNo\":\"");
        value.extend_from_slice(key);
        let _ = write!(
            value,
            "\",\"CreatedTime\":{created_ms},\"StoreID\":\"ST{:04}\",\"PaymentMode\":\"{}\",\"CustomerCardNo\":\"CC{card:08}\",\
             \"TotalValue\":{}.{:02},\"PosID\":\"POS{:03}\",\"CashierID\":\"C{:04}\",\"DeliveryType\":\"{}\",\"NumberOfItems\":{}}}",
            dice % 500,
            ["CASH", "CARD", "UPI"][(dice >> 9) as usize % 3],
            100 + (dice >> 28) % 9_000,
            (dice >> 41) % 100,
            (dice >> 48) % 64,
            (dice >> 20) % 4_000,
            ["DELIVERY", "TAKEOUT"][(dice >> 57) as usize % 2],
            1 + (dice >> 60),
        );
        if self.kind == Kind::Cards {
            key.clear();
            let _ = write!(key, "CC{card:08}");
        }
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

fn line(sequence: u64, value: &mut Vec<u8>) {
    for place in 0..LINE_WORDS {
        let word = mix(sequence.wrapping_mul(LINE_WORDS).wrapping_add(place)) % WORDS;
        let gap = if place == 0 { "" } else { " " };
        let _ = write!(value, "{gap}w{word:04}");
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
        let payload = Payload::marked(7);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut sizes = Vec::new();
        for sequence in 0..2_000 {
            payload.write(sequence, 1_763_000_000_000, &mut key, &mut value);
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
        let payload = Payload::marked(7);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        payload.write(42, 0, &mut key, &mut value);
        assert_eq!(payload.sequence(&key, b""), Some(42));
        assert_eq!(payload.sequence(b"", &value), Some(42));
        assert_eq!(payload.sequence(b"other", &value), Some(42));
    }

    #[test]
    fn records_of_one_card_have_one_key_and_their_number_in_the_value() {
        let payload = Payload {
            kind: Kind::Cards,
            cards: 3,
            ..Payload::marked(7)
        };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for sequence in 0..50 {
            payload.write(sequence, 0, &mut key, &mut value);
            let row: serde_json::Value = serde_json::from_slice(&value).unwrap();
            assert_eq!(row["CustomerCardNo"].as_str().unwrap().as_bytes(), key);
            assert!(
                ["CC00000000", "CC00000001", "CC00000002"].contains(&str::from_utf8(&key).unwrap())
            );
            assert_eq!(payload.sequence(&key, &value), Some(sequence));
        }
    }

    #[test]
    fn transactions_of_a_card_have_one_key_and_their_number_in_the_value() {
        let payload = Payload {
            kind: Kind::Transactions,
            ..Payload::marked(7)
        };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for sequence in 0..50 {
            payload.write(sequence, 0, &mut key, &mut value);
            assert!(key.starts_with(b"4000-"));
            assert_eq!(payload.sequence(&key, &value), Some(sequence));
        }
    }

    #[test]
    fn a_line_has_ten_words_and_no_key() {
        let payload = Payload {
            kind: Kind::Lines,
            ..Payload::marked(7)
        };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        payload.write(1, 0, &mut key, &mut value);
        assert_eq!(str::from_utf8(&value).unwrap().split(' ').count(), 10);
        assert!(key.is_empty());
    }

    #[test]
    fn a_record_of_another_run_has_no_number() {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        Payload::marked(8).write(42, 0, &mut key, &mut value);
        assert_eq!(Payload::marked(7).sequence(&key, &value), None);
        assert_eq!(
            Payload::marked(7).sequence(b"", b"{\"BillNo\":\"700000-00"),
            None
        );
    }
}
