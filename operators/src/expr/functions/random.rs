//! Random numbers: Spark's generator, so that a seed gives Spark's numbers (of its first partition).

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Int, Long, Number as Numeric};
use super::forms::{constant_long, error_or_null, failed};
use super::{BindContext, Function, function};
use crate::expr::access::array;
use crate::expr::coerce::{self, wider};
use crate::expr::number;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "rand",
        "rand([seed])",
        "A random number from 0 to below 1; with a seed the same sequence in each run and partition.",
        "rand(0)",
        "0.7604953758285915",
        |args, cx| random(args, cx, Generator::double),
    )
    .aliases(&["random"]),
    function(
        "randn",
        "randn([seed])",
        "A random number of the standard normal distribution.",
        "randn(0)",
        "1.6034991609278433",
        |args, cx| random(args, cx, Generator::normal),
    ),
    function(
        "shuffle",
        "shuffle(array[, seed])",
        "The elements of the array in random order.",
        "shuffle(array(1))",
        "[1]",
        |args, cx| {
            let mut args = cx.take(args, &[super::Param::Array, Long], 1)?;
            let seed = constant_seed(args.get(1), cx)?;
            args.truncate(1);
            let nullable = args[0].nullable;
            let data_type = args[0].data_type.clone();
            let mut typed = cx.volatile(data_type, args, move || {
                let mut generator = Lazy::new(seed);
                Box::new(move |v| {
                    if v[0].is_null() {
                        return Ok(Value::Null);
                    }
                    let generator = generator.get()?;
                    let mut elements = array(&v[0]).to_vec();
                    for last in (1..elements.len()).rev() {
                        elements.swap(last, generator.below(last + 1));
                    }
                    Ok(Value::Array(elements.into()))
                })
            })?;
            typed.nullable = nullable;
            Ok(typed)
        },
    ),
    function(
        "uniform",
        "uniform(low, high[, seed])",
        "A random number from low to below high, which are constants: a whole one where both are.",
        "uniform(10, 20, 0)",
        "17",
        uniform,
    ),
    function(
        "randstr",
        "randstr(length[, seed])",
        "A random text of so many letters and digits; the length is a constant.",
        "randstr(3, 0)",
        "ceV",
        randstr,
    ),
];

fn uniform(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let param = |place: usize| match args.get(place) {
        Some(arg) if arg.data_type == DataType::Void => Any,
        _ if place == 2 => Long,
        _ => Numeric,
    };
    let params = [param(0), param(1), param(2)];
    let args = cx.take(args, &params, 2)?;
    let seed = constant_seed(args.get(2), cx)?;
    let bounds: Vec<&Value> = args[..2].iter().filter_map(Typed::constant).collect();
    let [low, high] = bounds[..] else {
        return Err(cx.error("both bounds must be constants"));
    };
    if low.is_null() || high.is_null() {
        return Ok(Typed::literal(Value::Null, DataType::Double, cx.at));
    }
    let of = uniform_type(&args[0].data_type, &args[1].data_type, cx);
    let (Some(low), Some(high)) = (
        double(low, &args[0].data_type),
        double(high, &args[1].data_type),
    ) else {
        return Err(cx.error("both bounds must be numbers"));
    };
    let ansi = cx.settings.ansi;
    cx.volatile(of.clone(), Vec::new(), move || {
        let mut generator = Lazy::new(seed);
        let of = of.clone();
        Box::new(move |_| {
            let random = Value::Double(low + (high - low) * generator.get()?.double());
            match number::convert(&random, &DataType::Double, &of, true) {
                Some(number) => Ok(number),
                None => error_or_null(ansi, || format!("a number between does not fit {of}")),
            }
        })
    })
}

/// The type of a number between two: that of the wider bound, where one has a point the type of that. Of two DECIMALs that of the
/// second, where the first does not hold all of its numbers.
fn uniform_type(low: &DataType, high: &DataType, cx: &BindContext) -> DataType {
    let any = |of: DataType| *low == of || *high == of;
    match (low.is_integer(), high.is_integer()) {
        _ if any(DataType::Double) => DataType::Double,
        _ if any(DataType::Float) => DataType::Float,
        (true, false) => high.clone(),
        (false, true) => low.clone(),
        (false, false) => match (coerce::as_decimal(low), coerce::as_decimal(high)) {
            (Some((precision, scale)), Some((other, digits)))
                if scale >= digits && precision - scale >= other - digits =>
            {
                low.clone()
            }
            _ => high.clone(),
        },
        _ => wider(low, high, cx.settings.ansi).unwrap_or(DataType::Double),
    }
}

#[allow(clippy::cast_precision_loss)]
fn double(value: &Value, data_type: &DataType) -> Option<f64> {
    Some(match (value, data_type) {
        (Value::TinyInt(n), _) => f64::from(*n),
        (Value::SmallInt(n), _) => f64::from(*n),
        (Value::Int(n), _) => f64::from(*n),
        (Value::BigInt(n), _) => *n as f64,
        (Value::Float(n), _) => f64::from(*n),
        (Value::Double(n), _) => *n,
        (Value::Decimal(n), DataType::Decimal { scale, .. }) => {
            number::decimal_to_double(i128::from(*n), *scale)
        }
        _ => return None,
    })
}

/// The longest text that a call may make.
const LENGTH_MAX: i32 = 1 << 20;

fn randstr(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Int, Long], 1)?;
    let seed = constant_seed(args.get(1), cx)?;
    let length = match args[0].constant() {
        Some(Value::Null) => 0,
        Some(Value::Int(length)) if (0..=LENGTH_MAX).contains(length) => *length,
        _ => {
            return Err(cx.error(format!(
                "the length must be a constant INT from 0 to {LENGTH_MAX}"
            )));
        }
    };
    cx.volatile(DataType::String, Vec::new(), move || {
        let mut generator = Lazy::new(seed);
        Box::new(move |_| {
            let generator = generator.get()?;
            let letters = (0..length).map(|_| generator.letter());
            Ok(Value::String(letters.collect()))
        })
    })
}

fn constant_seed(arg: Option<&Typed>, cx: &BindContext) -> Result<Option<i64>, JobError> {
    match arg {
        None => Ok(None),
        Some(arg) => match (arg.constant(), constant_long(arg)) {
            (_, Some(seed)) => Ok(Some(seed)),
            (Some(Value::Null), None) => Ok(Some(0)),
            _ => Err(cx.error("the seed must be a constant integer")),
        },
    }
}

fn random(
    args: Vec<Typed>,
    cx: &BindContext,
    next: fn(&mut Generator) -> f64,
) -> Result<Typed, JobError> {
    let param = if args_are_null(&args) { Any } else { Long };
    let args = cx.take(args, &[param], 0)?;
    let seed = constant_seed(args.first(), cx)?;
    cx.volatile(DataType::Double, Vec::new(), move || {
        let mut generator = Lazy::new(seed);
        Box::new(move |_| Ok(Value::Double(next(generator.get()?))))
    })
}

fn args_are_null(args: &[Typed]) -> bool {
    args.first()
        .is_some_and(|arg| arg.data_type == DataType::Void)
}

/// A generator that is seeded when it is first asked, because the system may refuse a seed.
struct Lazy {
    seed: Option<i64>,
    generator: Option<Generator>,
}

impl Lazy {
    fn new(seed: Option<i64>) -> Self {
        Self {
            seed,
            generator: None,
        }
    }

    fn get(&mut self) -> Result<&mut Generator, RecordError> {
        let seed = match (&self.generator, self.seed) {
            (Some(_), _) => 0,
            (None, Some(seed)) => seed,
            (None, None) => {
                let mut bytes = [0; 8];
                getrandom::fill(&mut bytes)
                    .map_err(|_| failed("the system has no random numbers"))?;
                i64::from_le_bytes(bytes)
            }
        };
        Ok(self.generator.get_or_insert_with(|| Generator::new(seed)))
    }
}

/// An XOR-shift generator under Java's `Random`, as Spark has it.
struct Generator {
    state: i64,
    /// Normal numbers are made in pairs.
    spare: Option<f64>,
}

impl Generator {
    fn new(seed: i64) -> Self {
        Self {
            state: spread(seed),
            spare: None,
        }
    }

    fn next(&mut self, bits: u32) -> i32 {
        let mut next = self.state ^ (self.state << 21);
        next ^= (next.cast_unsigned() >> 35).cast_signed();
        next ^= next << 4;
        self.state = next;
        #[allow(clippy::cast_possible_truncation)]
        let low = (next & ((1_i64 << bits) - 1)) as i32;
        low
    }

    #[allow(clippy::cast_precision_loss)]
    fn double(&mut self) -> f64 {
        let high = i64::from(self.next(26)) << 27;
        (high + i64::from(self.next(27))) as f64 * (1.0 / (1_i64 << 53) as f64)
    }

    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.double() - 1.0, 2.0 * self.double() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square != 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// One of 0 to 9, a to z and A to Z.
    fn letter(&mut self) -> char {
        const LETTERS: &[u8; 62] =
            b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let place = self.next(32).unsigned_abs() % 62;
        char::from(LETTERS[place as usize])
    }

    fn below(&mut self, bound: usize) -> usize {
        let random = u64::from(self.next(31).cast_unsigned());
        usize::try_from(random % bound.max(1) as u64).unwrap_or(0)
    }
}

/// Spreads the bits of a seed by two rounds of Murmur3.
fn spread(seed: i64) -> i64 {
    let bytes = seed.to_be_bytes();
    let low = murmur3(&bytes, 0x3c07_4a61);
    let high = murmur3(&bytes, low);
    (i64::from(high.cast_signed()) << 32) | i64::from(low)
}

fn murmur3(bytes: &[u8; 8], seed: u32) -> u32 {
    let mut hash = seed;
    for word in bytes.chunks_exact(4) {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]])
            .wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593);
        hash = (hash ^ word)
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    hash ^= 8;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}
