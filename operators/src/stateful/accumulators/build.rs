//! From an aggregate of the plan to its accumulator.

use std::cmp::Ordering;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::bitmaps::{Bitmaps, Way};
use super::both::Both;
use super::counts::{Bits, Count, Join};
use super::distinct::Distinct;
use super::elements::Elements;
use super::find;
use super::hll::ApproxCountDistinct;
use super::listagg::ListAgg;
use super::lists::CollectList;
use super::mode::Mode;
use super::moments::{Moment, Moments, Pair, Pairs};
use super::percentile::{Form, Percentile};
use super::percentile_approx::PercentileApprox;
use super::sums::{Overflow, Sum};
use super::top::Top;
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
    let bits = |join| Bits::new(x, data_type.clone(), join);
    let extreme = |wanted| Extreme::new(arguments, types, wanted);
    let arrival = |last| Arrival::new(x, data_type, last, aggregate.ignore_nulls);
    match name {
        "count" | "regr_count" => Box::new(Count::new(arguments.to_vec(), false)),
        "count_if" => Box::new(Count::new(arguments.to_vec(), true)),
        "sum" | "try_sum" => Box::new(sum(aggregate, arguments, 0, false)),
        "avg" | "try_avg" => Box::new(sum(aggregate, arguments, 0, true)),
        // By the number of rows, not by the result: one value may be an array itself.
        "max_by" | "min_by" if !aggregate.parameters.is_empty() => {
            let wanted = match name {
                "min_by" => Ordering::Less,
                _ => Ordering::Greater,
            };
            let most = aggregate.parameters.first().copied().unwrap_or(1.0);
            Box::new(Top::new(arguments, types, wanted, most))
        }
        "min" | "min_by" => Box::new(extreme(Ordering::Less)),
        "max" | "max_by" => Box::new(extreme(Ordering::Greater)),
        "first" => Box::new(arrival(false)),
        "last" => Box::new(arrival(true)),
        "collect_list" | "collect_set" => Box::new(CollectList::new(x, data_type.clone())),
        "collect_union" => {
            let element = match data_type {
                DataType::Array(element) => element.as_ref().clone(),
                other => other.clone(),
            };
            let list = CollectList::new(0, element.clone());
            let each = Distinct::new(vec![0], vec![element], Box::new(list));
            Box::new(Elements::new(x, each))
        }
        "bitmap_construct_agg" => Box::new(Bitmaps::new(x, Way::Set)),
        "bitmap_or_agg" => Box::new(Bitmaps::new(x, Way::Or)),
        "bitmap_and_agg" => Box::new(Bitmaps::new(x, Way::And)),
        "listagg" => {
            let (delimiter, directions) = (&aggregate.delimiter, &aggregate.parameters);
            Box::new(ListAgg::new(x, data_type, delimiter, directions))
        }
        "approx_count_distinct" => {
            let wide = matches!(data_type, DataType::Decimal { precision, .. } if *precision > 18);
            let deviation = aggregate.parameters.first().copied().unwrap_or(0.05);
            Box::new(ApproxCountDistinct::new(x, wide, deviation))
        }
        "bool_and" | "bit_and" => Box::new(bits(Join::And)),
        "bool_or" | "bit_or" => Box::new(bits(Join::Or)),
        "bit_xor" => Box::new(bits(Join::Xor)),
        _ => quantile(name, aggregate, arguments, data_type)
            .or_else(|| moment(name, x))
            .or_else(|| pair(name, aggregate, arguments))
            .unwrap_or_else(|| Box::new(Unknown(aggregate.function))),
    }
}

/// The sum or mean of the argument of this number.
fn sum(aggregate: &Aggregate, arguments: &[usize], number: usize, average: bool) -> Sum {
    let overflow = match aggregate.function {
        "try_sum" | "try_avg" => Overflow::Null,
        _ if aggregate.ansi => Overflow::Error,
        _ => Overflow::Wrap,
    };
    let data_type = aggregate.types.get(number).cloned();
    Sum::new(
        arguments.get(number).copied().unwrap_or(0),
        data_type.unwrap_or(DataType::Void),
        aggregate.result.clone(),
        average,
        overflow,
    )
}

/// Those that ask how often each value came.
fn quantile(
    name: &str,
    aggregate: &Aggregate,
    arguments: &[usize],
    data_type: &DataType,
) -> Option<Box<dyn Accumulator>> {
    let x = *arguments.first()?;
    let parameters = &aggregate.parameters;
    let several = matches!(aggregate.result, DataType::Array(_));
    let descending = parameters.first() == Some(&1.0);
    let percentile = |form, shares: &[f64]| -> Box<dyn Accumulator> {
        let frequency = arguments.get(1).copied();
        Box::new(Percentile::new(x, data_type, form, shares, several).counting(frequency))
    };
    Some(match name {
        "percentile" => percentile(Form::default(), parameters),
        "median" => percentile(Form::default(), &[0.5]),
        "percentile_cont" | "percentile_disc" => {
            let form = Form {
                descending,
                discrete: name == "percentile_disc",
            };
            percentile(form, parameters.get(1..).unwrap_or(&[]))
        }
        "percentile_approx" => Box::new(PercentileApprox::new(x, data_type, parameters, several)),
        "mode" => Box::new(Mode::new(x, data_type, descending)),
        _ => return None,
    })
}

/// Those of the moments of one column.
fn moment(name: &str, x: usize) -> Option<Box<dyn Accumulator>> {
    let moment = match name {
        "stddev_samp" => Moment::StddevSamp,
        "stddev_pop" => Moment::StddevPop,
        "var_samp" => Moment::VarSamp,
        "var_pop" => Moment::VarPop,
        "skewness" => Moment::Skewness,
        "kurtosis" => Moment::Kurtosis,
        _ => return None,
    };
    Some(Box::new(Moments::new(x, moment)))
}

/// Those of pairs. A regression is of the dependent variable, then the independent one.
fn pair(name: &str, aggregate: &Aggregate, arguments: &[usize]) -> Option<Box<dyn Accumulator>> {
    let &[first, second] = arguments else {
        return None;
    };
    let squares = |place| Moments::new(place, Moment::Squares);
    let mean = |number| sum(aggregate, arguments, number, true);
    Some(match name {
        "covar_samp" => Box::new(Pairs::new(first, second, Pair::CovarSamp)),
        "covar_pop" => Box::new(Pairs::new(first, second, Pair::CovarPop)),
        "corr" => Box::new(Pairs::new(first, second, Pair::Corr)),
        "regr_avgx" => Box::new(Both::new(first, mean(1))),
        "regr_avgy" => Box::new(Both::new(second, mean(0))),
        "regr_sxx" => Box::new(Both::new(first, squares(second))),
        "regr_syy" => Box::new(Both::new(second, squares(first))),
        "regr_sxy" => Box::new(Pairs::new(second, first, Pair::Products)),
        "regr_r2" => Box::new(Pairs::new(second, first, Pair::Determination)),
        "regr_slope" => Box::new(Pairs::new(second, first, Pair::Slope)),
        "regr_intercept" => Box::new(Pairs::new(second, first, Pair::Intercept)),
        _ => return None,
    })
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
