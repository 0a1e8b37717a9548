//! From an aggregate of the plan to its accumulator.

use std::cmp::Ordering;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::counts::{Bits, Count, Join};
use super::distinct::Distinct;
use super::find;
use super::hll::ApproxCountDistinct;
use super::lists::CollectList;
use super::moments::{Moment, Moments, Pair, Pairs};
use super::percentile::Percentile;
use super::percentile_approx::PercentileApprox;
use super::sums::Sum;
use super::values::{Arrival, Extreme};
use crate::stateful::grouping::Aggregate;

/// The accumulator of an aggregate.
pub fn build(aggregate: &Aggregate) -> Box<dyn Accumulator> {
    let name = find(aggregate.function).map_or(aggregate.function, |function| function.name);
    if !aggregate.distinct && name != "collect_set" {
        return plain(name, aggregate, &aggregate.arguments);
    }
    let places: Vec<usize> = (0..aggregate.arguments.len()).collect();
    Box::new(Distinct::new(
        aggregate.arguments.clone(),
        aggregate.types.clone(),
        plain(name, aggregate, &places),
    ))
}

fn plain(name: &str, aggregate: &Aggregate, arguments: &[usize]) -> Box<dyn Accumulator> {
    let types = &aggregate.types;
    if let Some(own) = aggregate.own {
        return own.accumulator(arguments, types);
    }
    let (Some(&x), Some(data_type)) = (arguments.first(), types.first()) else {
        return match name {
            "count" => Box::new(Count::new(Vec::new(), false)),
            _ => Box::new(Unknown(aggregate.function)),
        };
    };
    let y = *arguments.last().unwrap_or(&x);
    let sum = |average| {
        Sum::new(
            x,
            data_type.clone(),
            aggregate.result.clone(),
            average,
            aggregate.ansi,
        )
    };
    let several = matches!(aggregate.result, DataType::Array(_));
    let bits = |join| Bits::new(x, data_type.clone(), join);
    let extreme = |wanted| Extreme::new(arguments, types, wanted);
    let arrival = |last| Arrival::new(x, data_type, last, aggregate.ignore_nulls);
    match name {
        "count" => Box::new(Count::new(arguments.to_vec(), false)),
        "count_if" => Box::new(Count::new(arguments.to_vec(), true)),
        "sum" => Box::new(sum(false)),
        "avg" => Box::new(sum(true)),
        "min" | "min_by" => Box::new(extreme(Ordering::Less)),
        "max" | "max_by" => Box::new(extreme(Ordering::Greater)),
        "first" => Box::new(arrival(false)),
        "last" => Box::new(arrival(true)),
        "collect_list" | "collect_set" => Box::new(CollectList::new(x, data_type.clone())),
        "approx_count_distinct" => {
            let wide = matches!(data_type, DataType::Decimal { precision, .. } if *precision > 18);
            let deviation = aggregate.parameters.first().copied().unwrap_or(0.05);
            Box::new(ApproxCountDistinct::new(x, wide, deviation))
        }
        "percentile" => Box::new(Percentile::new(x, &aggregate.parameters, several)),
        "median" => Box::new(Percentile::new(x, &[0.5], false)),
        "percentile_approx" => {
            let parameters = &aggregate.parameters;
            Box::new(PercentileApprox::new(x, data_type, parameters, several))
        }
        "bool_and" | "bit_and" => Box::new(bits(Join::And)),
        "bool_or" | "bit_or" => Box::new(bits(Join::Or)),
        "bit_xor" => Box::new(bits(Join::Xor)),
        "stddev_samp" => Box::new(Moments::new(x, Moment::StddevSamp)),
        "stddev_pop" => Box::new(Moments::new(x, Moment::StddevPop)),
        "var_samp" => Box::new(Moments::new(x, Moment::VarSamp)),
        "var_pop" => Box::new(Moments::new(x, Moment::VarPop)),
        "skewness" => Box::new(Moments::new(x, Moment::Skewness)),
        "kurtosis" => Box::new(Moments::new(x, Moment::Kurtosis)),
        "covar_samp" => Box::new(Pairs::new(x, y, Pair::CovarSamp)),
        "covar_pop" => Box::new(Pairs::new(x, y, Pair::CovarPop)),
        "corr" => Box::new(Pairs::new(x, y, Pair::Corr)),
        _ => Box::new(Unknown(aggregate.function)),
    }
}

/// A name that [`find`] does not know: the plan has not asked. Each record fails, so that nothing wrong goes out.
struct Unknown(&'static str);

impl Accumulator for Unknown {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, _: &mut [u64], _: &[Value]) -> Result<(), RecordError> {
        let name = self.0;
        Err(RecordError::expression(format!(
            "there is no aggregate function `{name}`"
        )))
    }

    fn merge(&mut self, _: &mut [u64], _: &[u64]) -> Result<(), RecordError> {
        Ok(())
    }

    fn result(&self, _: &[u64]) -> Result<Value, RecordError> {
        Ok(Value::Null)
    }

    fn write(&self, _: &[u64], _: &mut Vec<u8>) {}

    fn read(&mut self, _: &mut [u64], _: &mut &[u8]) -> Option<()> {
        Some(())
    }
}
