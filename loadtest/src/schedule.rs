//! When each record is due: a fixed plan that does not wait for anybody, so that a slow reader cannot hide its own delay.

use std::str::FromStr;
use std::time::Duration;

/// A stretch of constant rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Phase {
    /// Records per second, above 0.
    pub(crate) rate: f64,
    /// Seconds.
    pub(crate) seconds: f64,
}

/// Phases one after the other. Record `n` is due at a time that depends on `n` alone.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Phase, its first record, its start in nanoseconds.
    phases: Vec<(Phase, u64, u64)>,
    total: u64,
    end_ns: u64,
}

impl Schedule {
    /// The schedule of these phases, in order.
    pub(crate) fn new(phases: &[Phase]) -> Self {
        let (mut first, mut start, mut laid) = (0u64, 0u64, Vec::with_capacity(phases.len()));
        for phase in phases {
            laid.push((*phase, first, start));
            first += (phase.rate * phase.seconds).round() as u64;
            start += (phase.seconds * 1e9) as u64;
        }
        Schedule {
            phases: laid,
            total: first,
            end_ns: start,
        }
    }

    /// One phase.
    pub(crate) fn constant(rate: f64, duration: Duration) -> Self {
        Self::new(&[Phase {
            rate,
            seconds: duration.as_secs_f64(),
        }])
    }

    /// How many records there are in all.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The length of all phases in nanoseconds.
    pub(crate) fn end_ns(&self) -> u64 {
        self.end_ns
    }

    /// The phases in order.
    pub(crate) fn phases(&self) -> impl Iterator<Item = Phase> + '_ {
        self.phases.iter().map(|(phase, _, _)| *phase)
    }

    /// The index of the phase that record `sequence` belongs to.
    pub(crate) fn phase_of(&self, sequence: u64) -> usize {
        self.phases
            .partition_point(|(_, first, _)| *first <= sequence)
            .saturating_sub(1)
    }

    /// Nanoseconds after the start at which phase `phase` begins.
    pub(crate) fn phase_start_ns(&self, phase: usize) -> u64 {
        self.phases
            .get(phase)
            .map_or(self.end_ns, |(_, _, start)| *start)
    }

    /// Nanoseconds after the start at which record `sequence` is due.
    pub(crate) fn due_ns(&self, sequence: u64) -> u64 {
        match self.phases.get(self.phase_of(sequence)) {
            Some((phase, first, start)) => {
                start + ((sequence - first) as f64 * 1e9 / phase.rate) as u64
            }
            None => 0,
        }
    }
}

/// `RATE:SECONDS,RATE:SECONDS,...`, e.g. `100:5,50000:10,100:10`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Steps(pub(crate) Vec<Phase>);

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |part: &str| {
            format!("'{part}' is not RATE:SECONDS with both above 0, e.g. 100:5,50000:10,100:10")
        };
        let phase = |part: &str| {
            let (rate, seconds) = part.split_once(':')?;
            let phase = Phase {
                rate: rate.trim().parse().ok()?,
                seconds: seconds.trim().parse().ok()?,
            };
            (phase.rate > 0.0
                && phase.seconds > 0.0
                && phase.rate.is_finite()
                && phase.seconds.is_finite())
            .then_some(phase)
        };
        text.split(',')
            .map(|part| phase(part).ok_or_else(|| wrong(part)))
            .collect::<Result<Vec<_>, _>>()
            .map(Steps)
    }
}

/// Reads a duration: `2ms`, `500us`, `10s`, `1.5s`, `2m`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("'{unit}' is not a unit of time: us, ms, s or m")),
    };
    match number.trim().parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => {
            Ok(Duration::from_secs_f64(value * factor))
        }
        _ => Err(format!("'{text}' is not a duration, e.g. 2ms, 10s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_rate_spaces_records_evenly() {
        let schedule = Schedule::constant(1_000.0, Duration::from_secs(3));
        assert_eq!(schedule.total(), 3_000);
        assert_eq!(schedule.due_ns(0), 0);
        assert_eq!(schedule.due_ns(1), 1_000_000);
        assert_eq!(schedule.due_ns(2_999), 2_999_000_000);
    }

    #[test]
    fn a_step_starts_each_phase_on_time_whatever_the_rate_before() {
        let Steps(phases) = "100:5,50000:2,100:5".parse().unwrap();
        let schedule = Schedule::new(&phases);
        assert_eq!(schedule.total(), 500 + 100_000 + 500);
        assert_eq!(
            (
                schedule.phase_of(499),
                schedule.phase_of(500),
                schedule.phase_of(100_500)
            ),
            (0, 1, 2)
        );
        assert_eq!(schedule.due_ns(500), 5_000_000_000);
        assert_eq!(schedule.due_ns(501), 5_000_020_000);
        assert_eq!(schedule.due_ns(100_500), 7_000_000_000);
        assert_eq!(schedule.phase_start_ns(2), 7_000_000_000);
        assert_eq!(schedule.end_ns(), 12_000_000_000);
    }

    #[test]
    fn due_times_never_go_back() {
        let schedule = Schedule::new(&"7:1,3333:1,11:2".parse::<Steps>().unwrap().0);
        let due: Vec<_> = (0..schedule.total()).map(|n| schedule.due_ns(n)).collect();
        assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn a_wrong_step_or_duration_is_refused_with_an_example() {
        assert!("100".parse::<Steps>().unwrap_err().contains("100:5"));
        assert!("100:0".parse::<Steps>().is_err());
        assert!(duration("2 parsecs").is_err());
        assert_eq!(duration("2ms"), Ok(Duration::from_millis(2)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1_500)));
    }
}
