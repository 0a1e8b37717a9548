//! Stories of numbers: ranges, rounding, remainders, hashes.

use super::tests::{expect, legacy};

#[test]
fn numbers_out_of_range_are_errors_with_ansi_and_not_without() {
    expect(&[
        ("abs(-128Y)", "error: the result is out of the type's range"),
        (
            "elt(3, 'a', 'b')",
            "error: elt: there are 2 texts, and none has the number asked for",
        ),
        (
            "round(127Y, -1)",
            "error: the rounded number is out of the type's range",
        ),
        (
            "split_part('a', '.', 0)",
            "error: split_part: the parts are counted from 1, not 0",
        ),
        (
            "conv('FFFFFFFFFFFFFFFFF', 16, 10)",
            "error: conv: the number has more than 64 bits",
        ),
        ("raise_error('no')", "error: no"),
        ("assert_true(false)", "error: 'false' is not true!"),
        ("assert_true(NULL, 'x is missing')", "error: x is missing"),
    ]);
    assert_eq!(legacy("abs(-128Y)"), "-128");
    assert_eq!(legacy("elt(3, 'a', 'b')"), "NULL");
    assert_eq!(legacy("round(127Y, -1)"), "-126");
    assert_eq!(
        legacy("conv('FFFFFFFFFFFFFFFFF', 16, 10)"),
        "18446744073709551615"
    );
}

#[test]
fn rounding_has_sparks_types() {
    expect(&[
        ("typeof(round(2.5, 0))", "decimal(2,0)"),
        ("typeof(round(12.345, 1))", "decimal(4,1)"),
        ("round(12.345, 1)", "12.3"),
        ("round(12.345, 5)", "12.345"),
        ("round(125, -1)", "130"),
        ("bround(125, -1)", "120"),
        ("typeof(round(125, -1))", "int"),
        ("round(1234.5, -2)", "1200"),
        ("typeof(round(1234.5, -2))", "decimal(5,0)"),
        ("round(1.005D, 2)", "1.01"),
        ("bround(0.125D, 2)", "0.12"),
        ("typeof(ceil(1.5))", "decimal(2,0)"),
        ("typeof(ceil(-0.1))", "decimal(1,0)"),
        ("typeof(ceil(-35, -1))", "decimal(11,0)"),
        ("ceil(-35, -1)", "-30"),
        ("floor(-0.35, 1)", "-0.4"),
        ("ceil(CAST(99 AS DECIMAL(2, 0)), -1)", "100"),
        ("round(525S, -3)", "1000"),
        ("bround(525, -2)", "500"),
        ("ceil(9.9)", "10"),
        ("ceil(3.1411, 3)", "3.142"),
        ("ceil(3.1411, -3)", "1000"),
        ("floor(3.1411, 3)", "3.141"),
        ("floor(3.1411, -3)", "0"),
        ("floor(-2.5D)", "-3"),
        ("typeof(floor(-2.5D))", "bigint"),
        ("typeof(ceil(3))", "bigint"),
        ("round(NULL, 1)", "NULL"),
        ("abs(-1.5)", "1.5"),
        ("abs(-0.0D)", "0.0"),
        ("negative(1.5D)", "-1.5"),
    ]);
}

#[test]
fn hashes_are_sparks() {
    expect(&[
        ("hash(1)", "-559580957"),
        ("hash(1L)", "-1712319331"),
        ("hash(true)", "-559580957"),
        ("hash('')", "142593372"),
        ("hash('a', NULL, 'b') = hash('a', 'b')", "true"),
        ("hash(CAST(1.5 AS DECIMAL(18, 2))) = hash(150L)", "true"),
        (
            "hash(CAST(1.5 AS DECIMAL(30, 2))) = hash(unhex('0096'))",
            "true",
        ),
        (
            "hash(CAST(-1 AS DECIMAL(30, 0))) = hash(unhex('FF'))",
            "true",
        ),
        ("hash(-0.0D) = hash(0.0D)", "true"),
        ("xxhash64(NULL)", "42"),
        (
            "sha2('Spark', 224)",
            "dbeab94971678d36af2195851c0f7485775a2a7c60073d62fc04549c",
        ),
        ("sha2('Spark', 1)", "NULL"),
    ]);
}

#[test]
fn remainders_and_the_try_family() {
    expect(&[
        ("mod(-7, 3)", "-1"),
        ("pmod(-7, 3)", "2"),
        ("pmod(-7.5, 2)", "0.5"),
        ("pmod(-7.5D, 2)", "0.5"),
        ("pmod(7, -3)", "1"),
        ("pmod(1, 0)", "error: division by zero; try_mod gives NULL"),
        ("typeof(pmod(-7Y, 3Y))", "tinyint"),
        ("try_add(DATE'2021-01-01', 1)", "2021-01-02"),
        ("try_divide(3, 2)", "1.5"),
        ("try_multiply(9223372036854775807, 2)", "NULL"),
    ]);
    assert_eq!(legacy("pmod(1, 0)"), "NULL");
}

#[test]
fn random_numbers_and_texts_of_a_seed_are_sparks() {
    expect(&[
        ("uniform(20, 10, 0)", "12"),
        ("uniform(5, 5, 0)", "5"),
        ("typeof(uniform(1L, 3, 0))", "bigint"),
        ("uniform(1S, 9S, 0)", "7"),
        ("typeof(uniform(1Y, 9Y, 0))", "tinyint"),
        ("uniform(0.5D, 1.5D, 3)", "0.7573814350596229"),
        ("typeof(uniform(CAST(1.5 AS FLOAT), 3, 0))", "float"),
        ("uniform(1, 5.5, 3)", "2.2"),
        ("typeof(uniform(1, 5.5, 3))", "decimal(2,1)"),
        ("uniform(1.25, 9.5, 0)", "7.52"),
        ("uniform(1.25, 3, 42)", "2.33"),
        ("uniform(1.25, 3.5, 42)", "2.64"),
        ("typeof(uniform(1.25, 3.5, 42))", "decimal(3,2)"),
        ("uniform(3.125, 100.2, 42)", "63.2"),
        ("uniform(0.0000001, 0.5, 42)", "0.3095947"),
        (
            "typeof(uniform(1.2, 12345678901234567890, 42))",
            "decimal(20,0)",
        ),
        (
            "uniform(1.2, 12345678901234567890, 42)",
            "7644313143859217000",
        ),
        ("uniform(NULL, 1, 0)", "NULL"),
        ("uniform(1, 2, NULL)", "1"),
        ("randstr(5, 0)", "ceV0P"),
        ("randstr(10, 7)", "6Ogz59i3TI"),
        ("randstr(0, 7)", ""),
        ("randstr(NULL, 0)", ""),
    ]);
}
