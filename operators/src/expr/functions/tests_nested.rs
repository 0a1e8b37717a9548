//! Stories of arrays and maps.

use super::tests::{expect, legacy};

#[test]
fn arrays_and_nulls() {
    expect(&[
        ("array()", "[]"),
        ("size(NULL)", "NULL"),
        ("array_contains(array(1, NULL), 2)", "NULL"),
        ("array_contains(array(1, NULL), 1)", "true"),
        ("array_contains(array(1.5D), 1)", "false"),
        ("array_position(array(1, NULL), 2)", "0"),
        ("element_at(array(1, 2), -1)", "2"),
        (
            "element_at(array(1, 2), 0)",
            "error: the elements are counted from 1, not 0",
        ),
        (
            "element_at(array(1, 2), 3)",
            "error: the array has no element at the place; try_element_at gives NULL",
        ),
        ("element_at(map('a', 1), 'b')", "NULL"),
        ("get(array(1), -1)", "NULL"),
        ("slice(array(1, 2, 3), -2, 5)", "[2, 3]"),
        ("slice(array(1, 2, 3), -5, 2)", "[]"),
        ("array_join(array(1, NULL, 3), '-')", "1-3"),
        ("array_append(array(1), NULL)", "[1, null]"),
        ("typeof(array_append(array(1), 2.5D))", "array<double>"),
        ("array_insert(array(5, 3, 2, 1), -4, 4)", "[5, 4, 3, 2, 1]"),
        ("array_insert(array(1), 3, 9)", "[1, null, 9]"),
        ("array_insert(array(1), -3, 9)", "[9, null, 1]"),
        ("flatten(array(array(1), NULL))", "NULL"),
        ("sort_array(array(2, NULL, 1), false)", "[2, 1, null]"),
        ("array_sort(array(5, 6, 1), (a, b) -> b - a)", "[6, 5, 1]"),
        ("array_max(array(double('NaN'), 1D))", "NaN"),
        ("array_distinct(array(0.0D, -0.0D))", "[0.0]"),
        ("arrays_overlap(array(1, NULL), array(2))", "NULL"),
        ("array_except(array(1, NULL), array(NULL))", "[1]"),
        ("size(array_distinct(sequence(1, 1000)))", "1000"),
        (
            "size(array_union(sequence(1, 100), sequence(51, 150)))",
            "150",
        ),
        ("sequence(1, 10, 4)", "[1, 5, 9]"),
        (
            "sequence(1, 2, 0)",
            "error: sequence: the step must lead from the first to the last",
        ),
        (
            "sequence(1, 2000000)",
            "error: the array would have more than 1048576 elements",
        ),
        (
            "sequence(DATE'2018-01-31', DATE'2018-03-31', INTERVAL 1 MONTH)",
            "[2018-01-31, 2018-02-28, 2018-03-31]",
        ),
        (
            "sequence(DATE'2018-01-02', DATE'2018-01-01')",
            "[2018-01-02, 2018-01-01]",
        ),
        ("exists(array(1, NULL), x -> x > 1)", "NULL"),
        ("forall(array(1, NULL), x -> x > 0)", "NULL"),
        ("aggregate(array(1, 2), 10, (a, x) -> a + x)", "13"),
        (
            "aggregate(array(1.5D), 0, (a, x) -> a + x)",
            "error: aggregate: the start is INT, but the lambda gives DOUBLE",
        ),
        ("transform(array(1, NULL), x -> coalesce(x, 0))", "[1, 0]"),
        (
            "arrays_zip(array(1), array('a', 'b'))",
            "[{1, a}, {null, b}]",
        ),
        ("concat(array(1), array(2.5D))", "[1.0, 2.5]"),
        ("reverse(array(1, 2))", "[2, 1]"),
    ]);
    assert_eq!(legacy("size(NULL)"), "-1");
    assert_eq!(legacy("element_at(array(1), 2)"), "NULL");
}

#[test]
fn a_map_has_each_key_once() {
    expect(&[
        (
            "map('a', 1, 'a', 2)",
            "error: a map must not have one key twice",
        ),
        ("map(NULL, 1)", "error: a key of a map must not be NULL"),
        (
            "map_concat(map(1, 'a'), map(1, 'b'))",
            "error: a map must not have one key twice",
        ),
        (
            "map_from_arrays(array(1), array(1, 2))",
            "error: map_from_arrays: the arrays differ in length",
        ),
        ("map_contains_key(map(1, 2), 3)", "false"),
        ("str_to_map('a=1&b=2', '&', '=')", "{a -> 1, b -> 2}"),
        ("str_to_map('')", "{ -> null}"),
        (
            "transform_keys(map(1, 2, 3, 4), (k, v) -> 1)",
            "error: a map must not have one key twice",
        ),
        (
            "map_zip_with(map(1, 1), map(2, 2), (k, a, b) -> coalesce(a, b, 0))",
            "{1 -> 1, 2 -> 2}",
        ),
        (
            "map_zip_with(map_from_arrays(sequence(1, 20), sequence(1, 20)), map(20, 5, 30, 1), (k, a, b) -> a + b)[20]",
            "25",
        ),
        (
            "map_keys(map_zip_with(map(30, 1, 2, 1), map_from_arrays(sequence(1, 18), sequence(1, 18)), (k, a, b) -> a))",
            "[30, 2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]",
        ),
        // Each key is looked up, not compared with all of the other map.
        (
            "size(map_zip_with(map_from_arrays(sequence(1, 50000), sequence(1, 50000)), map_from_arrays(sequence(25001, 75000), sequence(25001, 75000)), (k, a, b) -> coalesce(a, b)))",
            "75000",
        ),
        ("typeof(struct(1, 'a'))", "struct<col1:int,col2:string>"),
        ("typeof(map(1, array('a')))", "map<int,array<string>>"),
    ]);
}
