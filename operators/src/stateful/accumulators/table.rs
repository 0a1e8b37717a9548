//! The table of aggregate functions.

use super::{Arguments, Constants, Function, Gives, Within};

const fn function(
    name: &'static str,
    signature: &'static str,
    about: &'static str,
    (example, result): (&'static str, &'static str),
    arity: usize,
    arguments: Arguments,
    gives: Gives,
) -> Function {
    Function {
        name,
        aliases: &[],
        signature,
        about,
        example,
        result,
        arity: (arity, arity),
        arguments,
        gives,
        constants: Constants::None,
        within: Within::No,
        own: None,
    }
}

impl Function {
    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn constants(mut self, constants: Constants) -> Self {
        self.constants = constants;
        self
    }

    const fn within(mut self, within: Within) -> Self {
        self.within = within;
        self
    }

    const fn arity(mut self, least: usize, most: usize) -> Self {
        self.arity = (least, most);
        self
    }
}

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "count",
        "count(*) or count(x, ...)",
        "The number of rows; with arguments, of those in which none is NULL.",
        ("count(x) [1, NULL, 3]", "2"),
        0,
        Arguments::Any,
        Gives::BigInt,
    )
    .arity(0, usize::MAX),
    function(
        "count_if",
        "count_if(condition)",
        "The number of rows for which the condition is true.",
        ("count_if(x > 1) [1, NULL, 3]", "1"),
        1,
        Arguments::Boolean,
        Gives::BigInt,
    ),
    function(
        "sum",
        "sum(x)",
        "The sum. Of integers a BIGINT, of DECIMAL(p,s) a DECIMAL(p+10,s), else a DOUBLE.",
        ("sum(x) [5, NULL, 10]", "15"),
        1,
        Arguments::Summable,
        Gives::Sum,
    ),
    function(
        "avg",
        "avg(x)",
        "The mean. Of DECIMAL(p,s) a DECIMAL(p+4,s+4), else a DOUBLE.",
        ("avg(x) [1, NULL, 2]", "1.5"),
        1,
        Arguments::Summable,
        Gives::Average,
    )
    .aliases(&["mean"]),
    function(
        "try_sum",
        "try_sum(x)",
        "sum(x), and NULL where that overflows.",
        ("try_sum(x) [5, NULL, 10]", "15"),
        1,
        Arguments::Summable,
        Gives::Sum,
    ),
    function(
        "try_avg",
        "try_avg(x)",
        "avg(x), and NULL where that overflows.",
        ("try_avg(x) [1, NULL, 2]", "1.5"),
        1,
        Arguments::Summable,
        Gives::Average,
    ),
    function(
        "min",
        "min(x)",
        "The least value.",
        ("min(x) [10, -1, 20]", "-1"),
        1,
        Arguments::Ordered,
        Gives::Same,
    ),
    function(
        "max",
        "max(x)",
        "The greatest value.",
        ("max(x) [10, -1, 20]", "20"),
        1,
        Arguments::Ordered,
        Gives::Same,
    ),
    function(
        "max_by",
        "max_by(x, y[, k])",
        "The x of the row with the greatest y; of several, the last to arrive. With k, an array of the x of the k rows with the greatest y, the greatest first, of several the first to arrive.",
        ("max_by(x, y) [('a', 10), ('b', 50), ('c', 20)]", "b"),
        2,
        Arguments::AnyAndOrdered,
        Gives::Same,
    )
    .constants(Constants::HowMany),
    function(
        "min_by",
        "min_by(x, y[, k])",
        "The x of the row with the least y; of several, the last to arrive. With k, an array of the x of the k rows with the least y, the least first, of several the first to arrive.",
        ("min_by(x, y) [('a', 10), ('b', 50), ('c', 20)]", "a"),
        2,
        Arguments::AnyAndOrdered,
        Gives::Same,
    )
    .constants(Constants::HowMany),
    function(
        "first",
        "first(x) [IGNORE NULLS]",
        "The value of the row that arrived first, also NULL; in windows that slide, that of the earliest slide.",
        ("first(x) [10, 5, 20]", "10"),
        1,
        Arguments::Any,
        Gives::Same,
    )
    .aliases(&["first_value", "any_value"]),
    function(
        "last",
        "last(x) [IGNORE NULLS]",
        "The value of the row that arrived last, also NULL; in windows that slide, that of the latest slide.",
        ("last(x) [10, 5, 20]", "20"),
        1,
        Arguments::Any,
        Gives::Same,
    )
    .aliases(&["last_value"]),
    function(
        "collect_list",
        "collect_list(x)",
        "All values, in order of arrival. Each group keeps them all.",
        ("collect_list(x) [1, 2, NULL, 1]", "[1,2,1]"),
        1,
        Arguments::Any,
        Gives::Array,
    )
    .aliases(&["array_agg"]),
    function(
        "collect_set",
        "collect_set(x)",
        "The different values, in order of their first arrival. Each group keeps them all.",
        ("collect_set(x) [1, 2, NULL, 1]", "[1,2]"),
        1,
        Arguments::Ordered,
        Gives::Array,
    ),
    function(
        "collect_union",
        "collect_union(array)",
        "The different elements of all arrays, in order of their first arrival, no NULL. Each group keeps them all.",
        ("collect_union(x) [array(1,2), NULL, array(2,NULL,3)]", "[1,2,3]"),
        1,
        Arguments::Elements,
        Gives::Same,
    ),
    function(
        "bitmap_construct_agg",
        "bitmap_construct_agg(place)",
        "A bitmap of 32,768 bits in which those at these places are set; bitmap_bit_position gives a place. 4 kB a group.",
        ("bitmap_construct_agg(x) [0, 1, NULL, 2]", "X'07...'"),
        1,
        Arguments::Place,
        Gives::Binary,
    ),
    function(
        "bitmap_or_agg",
        "bitmap_or_agg(bitmap)",
        "A bitmap of 32,768 bits in which those of any of the bitmaps are set. 4 kB a group.",
        ("bitmap_or_agg(x) [X'10', NULL, X'20']", "X'30...'"),
        1,
        Arguments::Binary,
        Gives::Binary,
    ),
    function(
        "bitmap_and_agg",
        "bitmap_and_agg(bitmap)",
        "A bitmap of 32,768 bits in which those of all bitmaps are set; all are where there is no bitmap. 4 kB a group.",
        ("bitmap_and_agg(x) [X'30', NULL, X'70']", "X'30...'"),
        1,
        Arguments::Binary,
        Gives::Binary,
    ),
    function(
        "listagg",
        "listagg(x[, delimiter]) [WITHIN GROUP (ORDER BY y, ...)]",
        "All texts one behind the other, the delimiter between two: in the order of y, else of arrival. NULL of none. Each group keeps them all.",
        ("listagg(x, ',') ['b', 'a', NULL, 'b']", "b,a,b"),
        1,
        Arguments::Text,
        Gives::Same,
    )
    .aliases(&["string_agg"])
    .constants(Constants::Delimiter)
    .within(Within::Sorted),
    function(
        "mode",
        "mode(x) or mode() WITHIN GROUP (ORDER BY x)",
        "The value that came most often; of several the least, the greatest with DESC. Each group keeps every different value and how often it came.",
        ("mode(x) [3, 1, NULL, 2, 2, 3]", "2"),
        1,
        Arguments::Ordered,
        Gives::Same,
    )
    .constants(Constants::Deterministic)
    .within(Within::Argument),
    function(
        "approx_count_distinct",
        "approx_count_distinct(x[, rsd])",
        "About how many different values there are (HyperLogLog++). rsd is the relative standard deviation, 0.05 unless it is given, at least 0.01: 416 bytes a group at 0.05, 13 kB at 0.01.",
        ("approx_count_distinct(x) [1, 1, 2, 2, 3]", "3"),
        1,
        Arguments::Ordered,
        Gives::BigInt,
    )
    .constants(Constants::Deviation),
    function(
        "percentile",
        "percentile(x, p[, frequency])",
        "The value below which the share p of the values lies, between the two nearest; with an array of shares, an array. frequency says how often a value counts, 1 unless it is given. Exact: each group keeps every different value and how often it came.",
        ("percentile(x, 0.25) [0, 10, NULL, 30]", "5.0"),
        1,
        Arguments::SpreadAndFrequency,
        Gives::Spread,
    )
    .arity(1, 2)
    .constants(Constants::PercentagesAndFrequency),
    function(
        "median",
        "median(x)",
        "percentile(x, 0.5).",
        ("median(x) [0, 10, NULL, 50]", "10.0"),
        1,
        Arguments::Spread,
        Gives::Spread,
    ),
    function(
        "percentile_cont",
        "percentile_cont(p) WITHIN GROUP (ORDER BY x)",
        "percentile(x, p); with DESC, p is counted from the greatest value.",
        ("percentile_cont(0.25) WITHIN GROUP (ORDER BY x) [0, 10, NULL, 30]", "5.0"),
        1,
        Arguments::Spread,
        Gives::Spread,
    )
    .constants(Constants::Percentages)
    .within(Within::Needed),
    function(
        "percentile_disc",
        "percentile_disc(p) WITHIN GROUP (ORDER BY x)",
        "The first value, in this order, that at least the share p of the values does not exceed: one of them, not one between two. Each group keeps every different value and how often it came.",
        ("percentile_disc(0.25) WITHIN GROUP (ORDER BY x) [0, 10, NULL, 30]", "0.0"),
        1,
        Arguments::Spread,
        Gives::Spread,
    )
    .constants(Constants::Percentages)
    .within(Within::Needed),
    function(
        "percentile_approx",
        "percentile_approx(x, p[, accuracy])",
        "The least value that at least the share p of the values does not exceed, right but for the share 1/accuracy of them; accuracy is 10000 unless it is given. With an array of shares, an array. A group keeps a sketch: up to about 5000 values all of them at 10000, with less accuracy less.",
        ("percentile_approx(x, 0.5) [0, 6, 7, 9, 10, NULL]", "7"),
        1,
        Arguments::Quantile,
        Gives::Same,
    )
    .aliases(&["approx_percentile"])
    .constants(Constants::PercentagesAndAccuracy),
    function(
        "bool_and",
        "bool_and(condition)",
        "Whether all are true.",
        ("bool_and(x) [true, NULL, false]", "false"),
        1,
        Arguments::Boolean,
        Gives::Boolean,
    )
    .aliases(&["every"]),
    function(
        "bool_or",
        "bool_or(condition)",
        "Whether any is true.",
        ("bool_or(x) [true, NULL, false]", "true"),
        1,
        Arguments::Boolean,
        Gives::Boolean,
    )
    .aliases(&["any", "some"]),
    function(
        "bit_and",
        "bit_and(x)",
        "The bits that all have.",
        ("bit_and(x) [3, 5]", "1"),
        1,
        Arguments::Integer,
        Gives::Same,
    ),
    function(
        "bit_or",
        "bit_or(x)",
        "The bits that any has.",
        ("bit_or(x) [3, 5]", "7"),
        1,
        Arguments::Integer,
        Gives::Same,
    ),
    function(
        "bit_xor",
        "bit_xor(x)",
        "The bits that an odd number of them has.",
        ("bit_xor(x) [3, 5]", "6"),
        1,
        Arguments::Integer,
        Gives::Same,
    ),
    function(
        "stddev_samp",
        "stddev_samp(x)",
        "The standard deviation of a sample; NULL of one value.",
        ("stddev_samp(x) [1, 2, 3]", "1.0"),
        1,
        Arguments::Double,
        Gives::Double,
    )
    .aliases(&["stddev", "std"]),
    function(
        "stddev_pop",
        "stddev_pop(x)",
        "The standard deviation of all there are.",
        ("stddev_pop(x) [1, 3]", "1.0"),
        1,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "var_samp",
        "var_samp(x)",
        "The variance of a sample; NULL of one value.",
        ("var_samp(x) [1, 2, 3]", "1.0"),
        1,
        Arguments::Double,
        Gives::Double,
    )
    .aliases(&["variance"]),
    function(
        "var_pop",
        "var_pop(x)",
        "The variance of all there are.",
        ("var_pop(x) [1, 3]", "1.0"),
        1,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "skewness",
        "skewness(x)",
        "The skewness; NULL when all are equal.",
        ("skewness(x) [-10, -20, 100, 1000]", "1.1135657469022011"),
        1,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "kurtosis",
        "kurtosis(x)",
        "The excess kurtosis; NULL when all are equal.",
        ("kurtosis(x) [-10, -20, 100, 1000]", "-0.7014368047529609"),
        1,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "covar_samp",
        "covar_samp(x, y)",
        "The covariance of a sample of pairs; NULL of one pair.",
        ("covar_samp(x, y) [(1, 1), (2, 2), (3, 3)]", "1.0"),
        2,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "covar_pop",
        "covar_pop(x, y)",
        "The covariance of all pairs.",
        ("covar_pop(x, y) [(1, 1), (3, 3)]", "1.0"),
        2,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "corr",
        "corr(x, y)",
        "Pearson's correlation of pairs.",
        ("corr(x, y) [(3, 2), (3, 3), (6, 4)]", "0.8660254037844387"),
        2,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "regr_count",
        "regr_count(y, x)",
        "The number of pairs.",
        ("regr_count(x, y) [(1, 1), (2, 3), (6, 5)]", "3"),
        2,
        Arguments::Double,
        Gives::BigInt,
    ),
    function(
        "regr_avgx",
        "regr_avgx(y, x)",
        "The mean of x, of the pairs.",
        ("regr_avgx(x, y) [(1, 1), (2, 3), (6, 5)]", "3.0"),
        2,
        Arguments::Number,
        Gives::AverageOfLast,
    ),
    function(
        "regr_avgy",
        "regr_avgy(y, x)",
        "The mean of y, of the pairs.",
        ("regr_avgy(x, y) [(1, 1), (2, 3), (6, 5)]", "3.0"),
        2,
        Arguments::Number,
        Gives::Average,
    ),
    function(
        "regr_sxx",
        "regr_sxx(y, x)",
        "The sum of squares of the distances of x from its mean, of the pairs.",
        ("regr_sxx(x, y) [(1, 1), (2, 3), (6, 5)]", "8.0"),
        2,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "regr_syy",
        "regr_syy(y, x)",
        "The sum of squares of the distances of y from its mean, of the pairs.",
        ("regr_syy(x, y) [(1, 1), (2, 3), (6, 5)]", "14.0"),
        2,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "regr_sxy",
        "regr_sxy(y, x)",
        "The sum of products of the distances of x and y from their means.",
        ("regr_sxy(x, y) [(1, 1), (2, 3), (6, 5)]", "10.0"),
        2,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "regr_slope",
        "regr_slope(y, x)",
        "The slope of the line through the pairs, by least squares; NULL where x is always the same.",
        ("regr_slope(x, y) [(1, 1), (2, 3), (6, 5)]", "1.25"),
        2,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "regr_intercept",
        "regr_intercept(y, x)",
        "Where that line crosses x = 0.",
        ("regr_intercept(x, y) [(1, 1), (2, 3), (6, 5)]", "-0.75"),
        2,
        Arguments::Double,
        Gives::Double,
    ),
    function(
        "regr_r2",
        "regr_r2(y, x)",
        "How much of the variance of y the line explains: the square of the correlation.",
        ("regr_r2(x, y) [(1, 1), (2, 3), (6, 5)]", "0.8928571428571428"),
        2,
        Arguments::Double,
        Gives::Double,
    ),
];
