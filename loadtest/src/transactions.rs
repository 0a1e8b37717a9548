//! Card transactions with planted fraud: which one a number is, always the same for a seed.
//!
//! Event time goes on by one tick from each number to the next, so that a card pays every 1,000 seconds on average, however
//! many cards there are. Numbers are dealt to slots in turn, each every eight seconds; half of all stretches of 64 numbers of a
//! slot begin with a pattern of fraud on one card:
//!
//! | pattern | transactions, eight seconds apart |
//! | --- | --- |
//! | card testing | eight amounts of 0.50 to 2.50 at other merchants each, from a device of the thief's |
//! | impossible travel | one at home, which is honest; one on another continent |
//! | burst of declines | five that are declined, then one that is not, each of three times what the card pays |
//! | new device | one of twelve times what the card pays, from a device that it never had |

use std::io::Write as _;

use crate::payload::mix;

/// Milliseconds between two transactions of a card on average.
const BETWEEN_MS: u64 = 1_000_000;
/// Milliseconds between two numbers of a slot.
const STEP_MS: u64 = 8_000;
/// Numbers of a slot that may hold one pattern.
const STRETCH: u64 = 64;
/// The time of number 0: 2026-01-01T00:00:00Z.
const BEGIN_MS: u64 = 1_767_225_600_000;

const MERCHANTS: u64 = 5_000;
const CATEGORIES: [&str; 8] = [
    "groceries",
    "fuel",
    "restaurant",
    "clothes",
    "electronics",
    "travel",
    "gift cards",
    "games",
];

/// A town: country, currency, latitude and longitude. Four places further is another continent.
const TOWNS: [(&str, &str, f64, f64); 8] = [
    ("DE", "EUR", 52.52, 13.405),
    ("FR", "EUR", 48.8566, 2.3522),
    ("ES", "EUR", 40.4168, -3.7038),
    ("PL", "PLN", 52.2297, 21.0122),
    ("US", "USD", 40.7128, -74.006),
    ("BR", "BRL", -23.5505, -46.6333),
    ("JP", "JPY", 35.6762, 139.6503),
    ("AU", "AUD", -33.8688, 151.2093),
];

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    CardTesting,
    ImpossibleTravel,
    BurstOfDeclines,
    NewDevice,
}

impl Pattern {
    pub(crate) const ALL: [Self; 4] = [
        Self::CardTesting,
        Self::ImpossibleTravel,
        Self::BurstOfDeclines,
        Self::NewDevice,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::CardTesting => "card testing",
            Self::ImpossibleTravel => "impossible travel",
            Self::BurstOfDeclines => "burst of declines",
            Self::NewDevice => "new device",
        }
    }

    /// How many transactions of a stretch belong to it.
    fn length(self) -> u64 {
        match self {
            Self::CardTesting => 8,
            Self::ImpossibleTravel => 2,
            Self::BurstOfDeclines => 6,
            Self::NewDevice => 1,
        }
    }
}

/// What a number is drawn for.
#[derive(Clone, Copy)]
enum Purpose {
    Card = 1,
    Town,
    Level,
    Amount,
    Merchant,
    Place,
    Device,
    Channel,
    Declined,
    Planted,
    Victim,
    Pattern,
}

/// A stream of transactions.
#[derive(Clone, Debug)]
pub(crate) struct Transactions {
    seed: u64,
    cards: u64,
    tick_ms: u64,
    slots: u64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
struct Transaction {
    card: u64,
    time_ms: u64,
    cents: u64,
    merchant: u64,
    town: usize,
    /// How far from the town's middle, in ten-thousandths of a degree.
    off: (i64, i64),
    device: Device,
    online: bool,
    declined: bool,
    planted: Option<Pattern>,
}

/// A device: one of the card's two, or one of a pattern's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Of(u64, u64),
    Stranger(u64),
}

impl Transactions {
    pub(crate) fn new(seed: u64, cards: u64) -> Self {
        let tick_ms = (BETWEEN_MS / cards).max(1);
        Self {
            seed,
            cards,
            tick_ms,
            slots: (STEP_MS / tick_ms).max(1),
        }
    }

    fn draw(&self, number: u64, purpose: Purpose) -> u64 {
        mix(number ^ mix(self.seed.wrapping_mul(64) ^ purpose as u64))
    }

    /// What is planted at a number: which stretch it is, the pattern, and the place in it.
    fn planted(&self, number: u64) -> Option<(u64, Pattern, u64)> {
        let step = (number / self.slots) % STRETCH;
        let stretch = number / (self.slots * STRETCH) * self.slots + number % self.slots;
        if self.draw(stretch, Purpose::Planted) % 2 == 1 {
            return None;
        }
        let pattern = Pattern::ALL[self.draw(stretch, Purpose::Pattern) as usize % 4];
        (step < pattern.length()).then_some((stretch, pattern, step))
    }

    fn honest(&self, number: u64, card: u64) -> Transaction {
        let place = self.draw(number, Purpose::Place);
        let off = |part: u64| (part % 400).cast_signed() - 200;
        Transaction {
            card,
            time_ms: BEGIN_MS + number * self.tick_ms,
            cents: self.cents(number, card),
            merchant: self.draw(number, Purpose::Merchant) % MERCHANTS,
            town: self.draw(card, Purpose::Town) as usize % TOWNS.len(),
            off: (off(place), off(place >> 32)),
            device: Device::Of(
                card,
                u64::from(self.draw(number, Purpose::Device).is_multiple_of(5)),
            ),
            online: self.draw(number, Purpose::Channel) % 10 < 3,
            declined: self.draw(number, Purpose::Declined).is_multiple_of(50),
            planted: None,
        }
    }

    /// Around the card's own level, which is between 8 and 60: a third of it to three times as much.
    fn cents(&self, number: u64, card: u64) -> u64 {
        let part = |dice: u64| (dice & 0xffff) as f64 / 65_536.0;
        let level = 800.0 * (2.0 * part(self.draw(card, Purpose::Level))).exp();
        let dice = self.draw(number, Purpose::Amount);
        let three = part(dice) + part(dice >> 16) + part(dice >> 32);
        (level * (0.75 * (three - 1.5)).exp()) as u64
    }

    fn of(&self, number: u64) -> Transaction {
        let Some((stretch, pattern, step)) = self.planted(number) else {
            return self.honest(number, self.draw(number, Purpose::Card) % self.cards);
        };
        let victim = self.draw(stretch, Purpose::Victim) % self.cards;
        let usual = Transaction {
            declined: false,
            ..self.honest(number, victim)
        };
        let planted = Some(pattern);
        match pattern {
            Pattern::CardTesting => Transaction {
                cents: 50 + self.draw(number, Purpose::Amount) % 200,
                device: Device::Stranger(stretch),
                online: true,
                planted,
                ..usual
            },
            Pattern::ImpossibleTravel if step == 0 => usual,
            Pattern::ImpossibleTravel => Transaction {
                town: (usual.town + TOWNS.len() / 2) % TOWNS.len(),
                online: false,
                planted,
                ..usual
            },
            Pattern::BurstOfDeclines => Transaction {
                cents: 3 * usual.cents,
                declined: step < 5,
                planted,
                ..usual
            },
            Pattern::NewDevice => Transaction {
                cents: 12 * usual.cents,
                device: Device::Stranger(stretch),
                online: true,
                planted,
                ..usual
            },
        }
    }

    /// Writes the card as the key and the transaction as JSON.
    pub(crate) fn write(&self, number: u64, id: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) {
        let one = self.of(number);
        let (country, currency, latitude, longitude) = TOWNS[one.town];
        // Writing to a Vec cannot fail.
        let _ = write!(key, "4000-{:08}", one.card);
        value.extend_from_slice(b"{\"id\":\"");
        value.extend_from_slice(id);
        let _ = write!(value, "\",\"card\":\"4000-{:08}\",\"ts\":\"", one.card);
        time(one.time_ms, value);
        let degrees = |middle: f64, off: i64| middle + off as f64 / 10_000.0;
        let _ = write!(
            value,
            "\",\"amount\":{}.{:02},\"currency\":\"{currency}\",\"merchant\":\"M{:04}\",\"category\":\"{}\",\
             \"country\":\"{country}\",\"lat\":{:.4},\"lon\":{:.4},\"device\":\"",
            one.cents / 100,
            one.cents % 100,
            one.merchant,
            CATEGORIES[(one.merchant % 8) as usize],
            degrees(latitude, one.off.0),
            degrees(longitude, one.off.1),
        );
        let _ = match one.device {
            Device::Of(card, number) => write!(value, "D{card:08}-{number}"),
            Device::Stranger(stretch) => write!(value, "X{stretch:08}"),
        };
        let _ = write!(
            value,
            "\",\"channel\":\"{}\",\"declined\":{}",
            if one.online { "online" } else { "shop" },
            one.declined
        );
        if let Some(pattern) = one.planted {
            let _ = write!(value, ",\"planted\":\"{}\"", pattern.name());
        }
        value.push(b'}');
    }
}

/// Writes a time as ISO 8601 in UTC.
fn time(ms: u64, out: &mut Vec<u8>) {
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    // Years from the first of March, in eras of 400 years (H. Hinnant's days_from_civil, backwards).
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let _ = write!(
        out,
        "{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}.{:03}Z",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(of: &Transactions, number: u64) -> (String, serde_json::Value) {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        of.write(number, b"id", &mut key, &mut value);
        let row = serde_json::from_slice(&value).unwrap();
        (String::from_utf8(key).unwrap(), row)
    }

    #[test]
    fn a_transaction_has_twelve_fields_its_outcome_and_perhaps_what_was_planted() {
        let of = Transactions::new(1, 1_000);
        let mut size = 0;
        for number in 0..1_000 {
            let (key, row) = written(&of, number);
            let fields = row.as_object().unwrap();
            assert_eq!(
                fields.len(),
                13 + usize::from(fields.contains_key("planted"))
            );
            assert_eq!(row["card"], key.as_str());
            assert!(row["amount"].as_f64().unwrap() > 0.0 && row["declined"].is_boolean());
            size += row.to_string().len();
        }
        assert!((230_000..270_000).contains(&size), "{size}");
        assert_eq!(written(&of, 0).1["ts"], "2026-01-01T00:00:00.000Z");
        assert_eq!(written(&of, 5_097_600).1["ts"], "2026-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_seed_gives_the_same_transactions_and_another_seed_others() {
        let all = |seed| {
            let of = Transactions::new(seed, 500);
            (0..200)
                .map(move |number| of.of(number))
                .collect::<Vec<_>>()
        };
        assert_eq!(all(7), all(7));
        assert_ne!(all(7), all(8));
    }

    #[test]
    fn patterns_are_what_their_names_say() {
        let of = Transactions::new(3, 1_000);
        let mut seen = [0_u64; 4];
        for number in 0..100_000 {
            let one = of.of(number);
            let Some(pattern) = one.planted else { continue };
            let (stretch, _, step) = of.planted(number).unwrap();
            seen[Pattern::ALL.iter().position(|p| *p == pattern).unwrap()] += 1;
            let home = of.draw(one.card, Purpose::Town) as usize % 8;
            match pattern {
                Pattern::CardTesting => assert!(one.cents < 250 && one.online),
                Pattern::ImpossibleTravel => {
                    assert_eq!((one.town + 8 - home) % 8, 4);
                    let before = of.of(number - of.slots);
                    assert_eq!((before.card, before.town), (one.card, home));
                    assert_eq!(one.time_ms - before.time_ms, STEP_MS);
                }
                Pattern::BurstOfDeclines => assert_eq!(one.declined, step < 5),
                Pattern::NewDevice => assert_eq!(one.device, Device::Stranger(stretch)),
            }
        }
        let planted: u64 = seen.iter().sum();
        // Half of the stretches, with four of 64 on average.
        assert!((2_000..4_500).contains(&planted), "{seen:?}");
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }

    #[test]
    fn a_card_pays_every_thousand_seconds_whatever_their_number() {
        for cards in [10, 1_000, 100_000] {
            let of = Transactions::new(1, cards);
            let span = of.of(10_000).time_ms - of.of(0).time_ms;
            assert_eq!(span / 10_000 * cards, BETWEEN_MS);
        }
    }
}
