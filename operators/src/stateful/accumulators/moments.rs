//! Moments of one column and of pairs: `stddev`, `variance`, `skewness`, `kurtosis`, `covar`, `corr`, `regr_slope` and its kind.
//!
//! One pass, with the formulas for updating and merging that Spark uses, so that the digits agree.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use super::accumulator::Accumulator;
use super::sums::as_double;
use crate::stateful::bytes::take_array;

/// What is made of the moments of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    StddevPop,
    StddevSamp,
    VarPop,
    VarSamp,
    Skewness,
    Kurtosis,
    /// The sum of squares of the distances from the mean.
    Squares,
}

/// Words: n, mean, then the second to the highest moment, all doubles.
pub(super) struct Moments {
    argument: usize,
    moment: Moment,
    /// The highest moment that is kept.
    order: usize,
}

impl Moments {
    pub(super) fn new(argument: usize, moment: Moment) -> Self {
        let order = match moment {
            Moment::Skewness => 3,
            Moment::Kurtosis => 4,
            _ => 2,
        };
        Self {
            argument,
            moment,
            order,
        }
    }

    fn load(&self, cell: &[u64]) -> [f64; 5] {
        let mut values = [0.0; 5];
        for (value, word) in values.iter_mut().zip(&cell[..=self.order]) {
            *value = f64::from_bits(*word);
        }
        values
    }

    fn store(&self, cell: &mut [u64], values: [f64; 5]) {
        for (word, value) in cell[..=self.order].iter_mut().zip(values) {
            *word = value.to_bits();
        }
    }
}

impl Accumulator for Moments {
    fn words(&self) -> usize {
        self.order + 1
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let Some(x) = as_double(&row[self.argument]) else {
            return Ok(());
        };
        let [n, mean, m2, m3, m4] = self.load(cell);
        let new_n = n + 1.0;
        let delta = x - mean;
        let delta_n = delta / new_n;
        let new_m2 = m2 + delta * (delta - delta_n);
        let delta2 = delta * delta;
        let delta_n2 = delta_n * delta_n;
        let new_m3 = m3 - 3.0 * delta_n * new_m2 + delta * (delta2 - delta_n2);
        let new_m4 = m4 - 4.0 * delta_n * new_m3 - 6.0 * delta_n2 * new_m2
            + delta * (delta * delta2 - delta_n * delta_n2);
        self.store(cell, [new_n, mean + delta_n, new_m2, new_m3, new_m4]);
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        let [n1, mean, l2, l3, l4] = self.load(into);
        let [n2, other, r2, r3, r4] = self.load(from);
        let n = n1 + n2;
        if n == 0.0 {
            return Ok(());
        }
        let delta = other - mean;
        let delta_n = delta / n;
        let m2 = l2 + r2 + delta * delta_n * n1 * n2;
        let m3 = l3
            + r3
            + delta_n * delta_n * delta * n1 * n2 * (n1 - n2)
            + 3.0 * delta_n * (n1 * r2 - n2 * l2);
        let m4 = l4
            + r4
            + delta_n * delta_n * delta_n * delta * n1 * n2 * (n1 * n1 - n1 * n2 + n2 * n2)
            + 6.0 * delta_n * delta_n * (n1 * n1 * r2 + n2 * n2 * l2)
            + 4.0 * delta_n * (n1 * r3 - n2 * l3);
        self.store(into, [n, mean + delta_n * n2, m2, m3, m4]);
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let [n, _, m2, m3, m4] = self.load(cell);
        if n == 0.0 {
            return Ok(Value::Null);
        }
        Ok(match self.moment {
            Moment::StddevPop => Value::Double((m2 / n).sqrt()),
            Moment::VarPop => Value::Double(m2 / n),
            Moment::Squares => Value::Double(m2),
            Moment::StddevSamp | Moment::VarSamp if n == 1.0 => Value::Null,
            Moment::StddevSamp => Value::Double((m2 / (n - 1.0)).sqrt()),
            Moment::VarSamp => Value::Double(m2 / (n - 1.0)),
            Moment::Skewness | Moment::Kurtosis if m2 == 0.0 => Value::Null,
            Moment::Skewness => Value::Double(n.sqrt() * m3 / (m2 * m2 * m2).sqrt()),
            Moment::Kurtosis => Value::Double(n * m4 / (m2 * m2) - 3.0),
        })
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        write_words(cell, out);
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        read_words(cell, bytes)
    }
}

fn write_words(cell: &[u64], out: &mut Vec<u8>) {
    for word in cell {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn read_words(cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
    for word in cell {
        *word = u64::from_le_bytes(take_array(bytes)?);
    }
    Some(())
}

/// What is made of the moments of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    CovarPop,
    CovarSamp,
    Corr,
    /// The co-moment itself.
    Products,
    /// The square of the correlation.
    Determination,
    Slope,
    Intercept,
}

/// Words: n, the means of x and y, their co-moment, and where these matter the second moments of x and y, all doubles.
pub(super) struct Pairs {
    x: usize,
    y: usize,
    pair: Pair,
}

impl Pairs {
    pub(super) fn new(x: usize, y: usize, pair: Pair) -> Self {
        Self { x, y, pair }
    }

    fn load(&self, cell: &[u64]) -> [f64; 6] {
        let mut values = [0.0; 6];
        for (value, word) in values.iter_mut().zip(cell) {
            *value = f64::from_bits(*word);
        }
        values
    }

    fn store(&self, cell: &mut [u64], values: [f64; 6]) {
        for (word, value) in cell.iter_mut().zip(values) {
            *word = value.to_bits();
        }
    }
}

impl Accumulator for Pairs {
    fn words(&self) -> usize {
        match self.pair {
            Pair::CovarPop | Pair::CovarSamp | Pair::Products => 4,
            Pair::Slope | Pair::Intercept => 5,
            Pair::Corr | Pair::Determination => 6,
        }
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let (Some(x), Some(y)) = (as_double(&row[self.x]), as_double(&row[self.y])) else {
            return Ok(());
        };
        let [n, x_mean, y_mean, ck, xm, ym] = self.load(cell);
        let n = n + 1.0;
        let (dx, dy) = (x - x_mean, y - y_mean);
        let (new_x, new_y) = (x_mean + dx / n, y_mean + dy / n);
        // Spark has the variance of a line's x from its function for one column, whose last digit is another.
        let from_mean = match self.pair {
            Pair::Slope | Pair::Intercept => dx - dx / n,
            _ => x - new_x,
        };
        // The columns stand as a checkpoint has them; Spark takes these two the other way round, and the last digit shows it.
        let product = match self.pair {
            Pair::Products | Pair::Determination => dy * (x - new_x),
            _ => dx * (y - new_y),
        };
        let values = [
            n,
            new_x,
            new_y,
            ck + product,
            xm + dx * from_mean,
            ym + dy * (y - new_y),
        ];
        self.store(cell, values);
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        let [n1, x1, y1, ck1, xm1, ym1] = self.load(into);
        let [n2, x2, y2, ck2, xm2, ym2] = self.load(from);
        let n = n1 + n2;
        if n == 0.0 {
            return Ok(());
        }
        let (dx, dy) = (x2 - x1, y2 - y1);
        let (dx_n, dy_n) = (dx / n, dy / n);
        let product = match self.pair {
            Pair::Products | Pair::Determination => dy * dx_n,
            _ => dx * dy_n,
        };
        let values = [
            n,
            x1 + dx_n * n2,
            y1 + dy_n * n2,
            ck1 + ck2 + product * n1 * n2,
            xm1 + xm2 + dx * dx_n * n1 * n2,
            ym1 + ym2 + dy * dy_n * n1 * n2,
        ];
        self.store(into, values);
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let [n, x_mean, y_mean, ck, xm, ym] = self.load(cell);
        if n == 0.0 {
            return Ok(Value::Null);
        }
        Ok(match self.pair {
            Pair::CovarPop => Value::Double(ck / n),
            Pair::CovarSamp | Pair::Corr if n == 1.0 => Value::Null,
            Pair::CovarSamp => Value::Double(ck / (n - 1.0)),
            Pair::Corr if xm == 0.0 || ym == 0.0 => Value::Null,
            Pair::Corr => Value::Double(ck / (xm * ym).sqrt()),
            Pair::Products => Value::Double(ck),
            Pair::Determination | Pair::Slope | Pair::Intercept if xm == 0.0 => Value::Null,
            Pair::Determination if ym == 0.0 => Value::Double(1.0),
            Pair::Determination => {
                let correlation = ck / (xm * ym).sqrt();
                Value::Double(correlation * correlation)
            }
            Pair::Slope => Value::Double(ck / xm),
            Pair::Intercept => Value::Double(y_mean - ck / xm * x_mean),
        })
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        write_words(cell, out);
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        read_words(cell, bytes)
    }
}
