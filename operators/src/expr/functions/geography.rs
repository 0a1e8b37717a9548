//! Functions of places on Earth: how far apart they are, and how fast one must be to be at both.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Double, Timestamp};
use super::{Function, function};
use crate::expr::access::{double, micros};

/// The mean radius of the Earth in kilometres: R1 of the Geodetic Reference System 1980 (H. Moritz, Journal of Geodesy 74,
/// 2000). The Earth is no ball: a distance is off by up to half a percent.
const RADIUS_KM: f64 = 6371.0088;

/// Times that are closer count as so far apart, in hours: a second.
const LEAST_HOURS: f64 = 1.0 / 3600.0;

const MICROS_PER_HOUR: f64 = 3_600_000_000.0;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "geo_distance_km",
        "geo_distance_km(lat1, lon1, lat2, lon2)",
        "The way between two places over the ground in kilometres, of places in degrees; NULL where one of them is none on Earth.",
        "round(geo_distance_km(52.52, 13.405, 48.8566, 2.3522), 1)",
        "877.5",
        |args, cx| {
            let args = cx.take(args, &[Double; 4], 4)?;
            cx.partial(DataType::Double, args, |v| {
                let from = (double(&v[0]), double(&v[1]));
                let to = (double(&v[2]), double(&v[3]));
                Ok(distance(from, to).map_or(Value::Null, Value::Double))
            })
        },
    ),
    function(
        "speed_kmh",
        "speed_kmh(lat1, lon1, time1, lat2, lon2, time2)",
        "The speed that leads from one place to the other in the time between, whichever was first, in kilometres an hour; less than a second counts as one. NULL where a place is none on Earth.",
        "round(speed_kmh(52.52, 13.405, TIMESTAMP'2024-02-29 12:00:00', 48.8566, 2.3522, TIMESTAMP'2024-02-29 12:30:00'))",
        "1755.0",
        |args, cx| {
            let params = [Double, Double, Timestamp, Double, Double, Timestamp];
            let args = cx.take(args, &params, 6)?;
            cx.partial(DataType::Double, args, |v| {
                let from = (double(&v[0]), double(&v[1]));
                let to = (double(&v[3]), double(&v[4]));
                let times = (micros(&v[2]), micros(&v[5]));
                Ok(speed(from, to, times).map_or(Value::Null, Value::Double))
            })
        },
    ),
];

/// Whether latitude and longitude are a place.
fn on_earth((latitude, longitude): (f64, f64)) -> bool {
    latitude.abs() <= 90.0 && longitude.is_finite()
}

/// By the haversine formula (R. W. Sinnott, Virtues of the Haversine, Sky and Telescope 68, 1984), which loses nothing where
/// places are close.
fn distance(from: (f64, f64), to: (f64, f64)) -> Option<f64> {
    if !on_earth(from) || !on_earth(to) {
        return None;
    }
    if from == to {
        return Some(0.0);
    }
    let half_sine = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin();
    let (north, east) = (half_sine(from.0, to.0), half_sine(from.1, to.1));
    let circles = from.0.to_radians().cos() * to.0.to_radians().cos();
    let haversine = north * north + circles * east * east;
    Some(2.0 * RADIUS_KM * haversine.sqrt().min(1.0).asin())
}

#[allow(clippy::cast_precision_loss)]
fn speed(from: (f64, f64), to: (f64, f64), (first, second): (i64, i64)) -> Option<f64> {
    let hours = first.abs_diff(second) as f64 / MICROS_PER_HOUR;
    distance(from, to).map(|way| way / hours.max(LEAST_HOURS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The angle between two directions, by the longer way over vectors.
    fn obvious((lat1, lon1): (f64, f64), (lat2, lon2): (f64, f64)) -> f64 {
        let vector = |lat: f64, lon: f64| {
            let (lat, lon) = (lat.to_radians(), lon.to_radians());
            [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
        };
        let (a, b) = (vector(lat1, lon1), vector(lat2, lon2));
        let cross = [
            a[1] * b[2] - a[2] * b[1],
            a[2] * b[0] - a[0] * b[2],
            a[0] * b[1] - a[1] * b[0],
        ];
        let sine = cross.iter().map(|x| x * x).sum::<f64>().sqrt();
        let cosine: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
        RADIUS_KM * sine.atan2(cosine)
    }

    proptest! {
        #[test]
        fn the_haversine_is_the_angle_between_two_directions(
            from in (-90.0..=90.0_f64, -180.0..=180.0_f64),
            to in (-90.0..=90.0_f64, -180.0..=180.0_f64),
        ) {
            let way = distance(from, to).unwrap();
            // Opposite ends of the Earth lose half of the digits.
            prop_assert!((way - obvious(from, to)).abs() < 1e-3, "{way}");
            prop_assert_eq!(distance(to, from), Some(way));
        }
    }

    #[test]
    fn known_ways_and_places_that_are_none() {
        let (quarter, north) = (distance((0.0, 0.0), (90.0, 0.0)).unwrap(), (90.0, 12.0));
        assert!((quarter - RADIUS_KM * std::f64::consts::FRAC_PI_2).abs() < 1e-9);
        assert!(distance(north, (90.0, -170.0)).unwrap() < 1e-9);
        // Over the date line it is one degree, not 359.
        assert!(distance((0.0, 179.5), (0.0, -179.5)).unwrap() < 112.0);
        for none in [(90.1, 0.0), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(distance(none, (0.0, 0.0)), None);
            assert_eq!(distance((0.0, 0.0), none), None);
        }
    }

    #[test]
    fn a_speed_is_never_infinite_and_has_no_direction() {
        let (berlin, paris) = ((52.52, 13.405), (48.8566, 2.3522));
        let hour = 3_600_000_000;
        let one = speed(berlin, paris, (0, hour)).unwrap();
        assert_eq!(speed(paris, berlin, (hour, 0)), Some(one));
        assert_eq!(speed(berlin, berlin, (5, 5)), Some(0.0));
        let at_once = speed(berlin, paris, (5, 5)).unwrap();
        assert!((at_once - 3600.0 * one).abs() < 1e-6 && at_once.is_finite());
        assert!(speed(berlin, paris, (i64::MIN, i64::MAX)).unwrap() < 1e-3);
    }
}
