//! Figures of one measurement by name, their medians over rounds and their ratios to another's.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::failure::{Failure, Result};

/// Figures by name; the name ends with the unit (`p50_ms`, `cpu_us_per_record`, `rss_peak_mb`).
pub(crate) type Figures = BTreeMap<String, f64>;

/// The percentiles that are shown, with the names they have in tables and JSON.
const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 50.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("p99.99", 99.99),
];

/// A histogram of latencies from 1 us to 10 minutes with three digits.
pub(crate) fn latencies() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1_000, 600_000_000_000, 3)
        .map_err(|error| Failure::new(format!("the histogram could not be made: {error}")))
}

/// Percentiles and maximum of a histogram of nanoseconds as figures in milliseconds, each name preceded by `prefix`.
pub(crate) fn percentiles(histogram: &Histogram<u64>, prefix: &str) -> Figures {
    let ms = |nanos: u64| nanos as f64 / 1e6;
    let mut figures: Figures = PERCENTILES
        .iter()
        .map(|(name, p)| {
            (
                format!("{prefix}{name}_ms"),
                ms(histogram.value_at_percentile(*p)),
            )
        })
        .collect();
    figures.insert(format!("{prefix}max_ms"), ms(histogram.max()));
    figures
}

/// The median of each figure over the rounds that have it.
pub(crate) fn medians(rounds: &[Figures]) -> Figures {
    let mut all = BTreeMap::<&String, Vec<f64>>::new();
    for (name, value) in rounds.iter().flatten() {
        all.entry(name).or_default().push(*value);
    }
    all.into_iter()
        .map(|(name, values)| (name.clone(), median(values)))
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 if values.is_empty() => f64::NAN,
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// Each figure of `these` divided by the same of `those`, where both have it and the divisor is above 0.
pub(crate) fn ratios(these: &Figures, those: &Figures) -> Figures {
    let ratio = |(name, value): (&String, &f64)| {
        Some((
            name.clone(),
            value / those.get(name).copied().filter(|v| *v > 0.0)?,
        ))
    };
    these.iter().filter_map(ratio).collect()
}

/// A table with aligned columns: the first row is the head, the first column is left-aligned.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            text += &if column == 0 {
                format!("{cell}{pad}")
            } else {
                format!("  {pad}{cell}")
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// A figure with about three digits.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        v if v.is_nan() => "-".into(),
        v if v >= 100.0 => grouped(value.round()),
        v if v.fract() == 0.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// A whole number with commas between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(pairs: &[(&str, f64)]) -> Figures {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect()
    }

    #[test]
    fn percentiles_of_a_thousand_even_latencies_are_where_they_belong() {
        let mut histogram = latencies().unwrap();
        (1..=1_000u64).for_each(|n| histogram.record(n * 1_000_000).unwrap());
        let figures = percentiles(&histogram, "");
        assert!((figures["p50_ms"] - 500.0).abs() < 1.0);
        assert!((figures["p99_ms"] - 990.0).abs() < 2.0);
        assert!((figures["p99.99_ms"] - 1_000.0).abs() < 2.0);
        assert!((figures["max_ms"] - 1_000.0).abs() < 2.0);
    }

    #[test]
    fn the_median_of_each_figure_is_taken_over_the_rounds_that_have_it() {
        let rounds = [
            figures(&[("a", 3.0), ("b", 1.0)]),
            figures(&[("a", 1.0)]),
            figures(&[("a", 2.0), ("b", 2.0)]),
        ];
        assert_eq!(medians(&rounds), figures(&[("a", 2.0), ("b", 1.5)]));
    }

    #[test]
    fn a_ratio_to_nothing_is_left_out() {
        let ratio = ratios(
            &figures(&[("a", 3.0), ("b", 1.0), ("c", 1.0)]),
            &figures(&[("a", 2.0), ("b", 0.0)]),
        );
        assert_eq!(ratio, figures(&[("a", 1.5)]));
    }

    #[test]
    fn a_table_aligns_and_numbers_are_short() {
        let text = table(&[
            vec!["a".into(), "bb".into()],
            vec!["long".into(), "1".into()],
        ]);
        assert_eq!(text, "a     bb\nlong   1\n");
        assert_eq!(
            [
                short(1_234_567.0),
                short(12.34),
                short(0.456),
                short(0.0012)
            ],
            ["1,234,567", "12.3", "0.46", "0.0012"]
        );
    }
}
