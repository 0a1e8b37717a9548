//! Names: columns, qualifiers, metadata, aliases, macros, lambdas; and where errors point.

use std::sync::Arc;

use sqlparser::ast::Expr;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::check;
use crate::expr::scope::{Macro, Scope};
use crate::expr::testing::{evaluate, parse, scope};
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};

fn invoices() -> Scope {
    let address: Arc<[Field]> = vec![
        Field::nullable("city", DataType::String),
        Field::required("zip", DataType::Int),
    ]
    .into();
    let mut scope = scope(&[
        Field::required("BillNo", DataType::String),
        Field::nullable("TotalValue", DataType::Double),
        Field::nullable("address", DataType::Struct(Arc::clone(&address))),
        Field::nullable(
            "items",
            DataType::Array(Arc::new(DataType::Struct(address))),
        ),
        Field::nullable(
            "tags",
            DataType::Map(Arc::new((DataType::String, DataType::Int))),
        ),
        Field::nullable("numbers", DataType::Array(Arc::new(DataType::Int))),
    ]);
    scope.add_metadata(Some("t"), Field::required("offset", DataType::BigInt));
    scope
}

fn invoice() -> Vec<Value> {
    let place = |city: &str, zip| Value::Struct(vec![Value::from(city), Value::Int(zip)].into());
    vec![
        Value::from("B1"),
        Value::Double(360.0),
        place("Ulm", 89073),
        Value::Array(vec![place("Bonn", 1), Value::Null, place("Kiel", 2)].into()),
        Value::Map(vec![(Value::from("a"), Value::Int(1))].into()),
        Value::Array(vec![Value::Int(1), Value::Int(2), Value::Int(3)].into()),
        Value::BigInt(42),
    ]
}

fn give(sql: &str) -> String {
    evaluate(sql, &invoices(), &invoice()).unwrap()
}

fn refuse(sql: &str, scope: &Scope) -> JobError {
    check(&parse(sql), scope).unwrap_err()
}

#[test]
fn the_loyalty_points_are_a_fifth_of_the_total() {
    assert_eq!(give("TotalValue * 0.2"), "72.0: DOUBLE");
}

#[test]
fn columns_are_found_in_any_case_and_with_their_table() {
    assert_eq!(give("billno"), "B1: STRING");
    assert_eq!(give("t.BILLNO"), "B1: STRING");
    assert_eq!(give("T.address.City"), "Ulm: STRING");
    assert_eq!(give("address.zip + 1"), "89074: INT");
    assert_eq!(give("_metadata.offset"), "42: BIGINT");
    assert_eq!(give("t._metadata.offset"), "42: BIGINT");
}

#[test]
fn metadata_by_itself_is_a_struct_of_all_that_is_known() {
    assert_eq!(give("_metadata"), "{42}: STRUCT<offset: BIGINT>");
    assert_eq!(give("t._METADATA"), "{42}: STRUCT<offset: BIGINT>");
    assert_eq!(give("struct(_metadata.*).offset"), "42: BIGINT");
}

#[test]
fn nested_values_are_reached() {
    assert_eq!(give("items[0].city"), "Bonn: STRING");
    assert_eq!(give("items[1].city"), "NULL: STRING");
    assert_eq!(give("items.city"), "[Bonn, null, Kiel]: ARRAY<STRING>");
    assert_eq!(give("items[2]['zip']"), "2: INT");
    assert_eq!(give("tags['a']"), "1: INT");
    assert_eq!(give("tags['b']"), "NULL: INT");
    assert_eq!(give("tags.a"), "1: INT");
    let outside = evaluate("numbers[3]", &invoices(), &invoice()).unwrap_err();
    assert!(
        outside
            .message()
            .starts_with("the index is outside of the array"),
        "{outside:?}"
    );
    let legacy = Scope {
        ansi: false,
        ..invoices()
    };
    assert_eq!(
        evaluate("numbers[3]", &legacy, &invoice()).unwrap(),
        "NULL: INT"
    );
}

#[test]
fn lambdas_see_their_parameters_and_the_row() {
    assert_eq!(
        give("transform(numbers, x -> x * 10)"),
        "[10, 20, 30]: ARRAY<INT>"
    );
    assert_eq!(
        give("transform(numbers, (x, i) -> x - i)"),
        "[1, 1, 1]: ARRAY<INT>"
    );
    assert_eq!(
        give("filter(numbers, x -> x > tags['a'])"),
        "[2, 3]: ARRAY<INT>"
    );
    assert_eq!(
        give("transform(numbers, x -> transform(numbers, y -> x * y + address.zip))[2][1]"),
        "89079: INT"
    );
    assert_eq!(
        give("transform(numbers, billno -> billno)"),
        "[1, 2, 3]: ARRAY<INT>"
    );
}

#[test]
fn a_lateral_alias_stands_for_its_expression() {
    let mut scope = invoices();
    let points = check(&parse("TotalValue * 0.2"), &scope).unwrap();
    scope.aliases.push(("points".into(), points));
    assert_eq!(
        evaluate("points + 1", &scope, &invoice()).unwrap(),
        "73.0: DOUBLE"
    );
}

#[test]
fn a_macro_is_expanded_with_its_own_names_only() {
    let mut scope = invoices();
    let mut add = |name: &str, body: &str| {
        let found = Macro {
            name: name.into(),
            parameters: vec![("x".into(), DataType::Double)],
            returns: DataType::Double,
            body: parse(body),
        };
        scope.macros.insert(name.to_lowercase(), Arc::new(found));
    };
    add("Half", "x / 2");
    add("Quarter", "half(half(x))");
    add("Endless", "endless(x)");
    add("Peek", "x + TotalValue");
    assert_eq!(
        evaluate("quarter(TotalValue)", &scope, &invoice()).unwrap(),
        "90.0: DOUBLE"
    );
    assert_eq!(
        evaluate("half(3)", &scope, &invoice()).unwrap(),
        "1.5: DOUBLE"
    );
    assert!(
        refuse("endless(1)", &scope)
            .message
            .contains("calls itself")
    );
    assert!(
        refuse("peek(1)", &scope)
            .message
            .contains("unknown column `TotalValue`")
    );
    assert!(
        refuse("half(1, 2)", &scope)
            .message
            .contains("expected 1 argument")
    );
}

#[test]
fn errors_point_at_their_place_and_name_the_nearest() {
    let scope = invoices();
    let table = [
        (
            "TotalValue +\n  totlValue",
            2,
            3,
            "unknown column `totlValue`",
            "TotalValue",
        ),
        ("address.citi", 1, 1, "no field `citi`", "city"),
        ("1 + uper(BillNo)", 1, 5, "unknown function `uper`", "upper"),
        (
            "upper(numbers)",
            1,
            7,
            "argument 1 takes STRING, got ARRAY<INT>",
            "upper(text)",
        ),
        ("upper()", 1, 1, "expected 1 argument, got 0", "upper(text)"),
        ("CAST(1 AS INTEGR)", 1, 6, "unknown type INTEGR", "BIGINT"),
        (
            "TRUE AND numbers",
            1,
            10,
            "expected a condition (BOOLEAN), got ARRAY<INT>",
            "",
        ),
        ("sum(TotalValue)", 1, 1, "aggregate function", ""),
        ("numbers['x']", 1, 1, "has no meaning", ""),
        ("sqrt('four')", 1, 6, "'four' is no DOUBLE", "sqrt("),
        ("x -> x", 1, 1, "a lambda stands only", ""),
        ("upper(x -> x)", 1, 7, "takes no lambda", "upper(text)"),
        (
            "_metadata.ofset",
            1,
            1,
            "unknown column `_metadata.ofset`",
            "_metadata.offset",
        ),
    ];
    for (sql, line, column, message, help) in table {
        let error = refuse(sql, &scope);
        assert!(error.message.contains(message), "{sql}: {}", error.message);
        assert!(
            error.help.clone().unwrap_or_default().contains(help),
            "{sql}: {:?}",
            error.help
        );
        // A name of one word has its own place; others that of what is around.
        if sql != "x -> x" && !sql.starts_with("CAST") {
            assert_eq!(error.at, Location { line, column }, "{sql}");
        }
    }
}

#[test]
fn a_column_of_two_tables_needs_its_table() {
    let mut scope = scope(&[Field::required("id", DataType::Int)]);
    let other = thalweg_engine::schema::Schema::new(vec![Field::required("id", DataType::Int)]);
    scope.add(Some("u"), &other);
    let error = refuse("id", &scope);
    assert!(
        error.message.contains("it may be t.id or u.id"),
        "{}",
        error.message
    );
    let row = vec![Value::Int(1), Value::Int(2)];
    assert_eq!(evaluate("u.id", &scope, &row).unwrap(), "2: INT");
}

#[test]
fn an_error_of_a_row_names_the_place_but_not_the_content() {
    let error = evaluate("1 + CAST(BillNo AS INT)", &invoices(), &invoice()).unwrap_err();
    let message = error.message();
    assert!(
        message.contains("cannot cast STRING to INT") && message.ends_with("(at 1:10)"),
        "{message}"
    );
    assert!(!message.contains("B1"));
    match error {
        crate::expr::testing::Wrong::Row(error) => assert_eq!(error.content.as_deref(), Some("B1")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_long_chain_is_one_node_and_a_deep_nest_is_refused() {
    let chain = vec!["TotalValue > 1"; 300].join(" OR ");
    assert_eq!(give(&chain), "true: BOOLEAN");
    let sum = vec!["TotalValue"; 190].join(" + ");
    assert_eq!(give(&sum), "68400.0: DOUBLE");
    let error = refuse(&vec!["TotalValue"; 3000].join(" + "), &invoices());
    assert!(error.message.contains("nested deeper"), "{}", error.message);
    let mut deep = parse("TotalValue");
    for _ in 0..250 {
        deep = Expr::Nested(Box::new(deep));
    }
    let error = check(&deep, &invoices()).unwrap_err();
    assert!(error.message.contains("nested deeper"), "{}", error.message);
}

#[test]
fn a_plan_sees_columns_and_moves_them() {
    let mut typed: Typed = check(
        &parse("transform(numbers, x -> x + address.zip)"),
        &invoices(),
    )
    .unwrap();
    assert_eq!(typed.columns(), vec![2, 5]);
    typed.remap(&|place| if place == 2 { 0 } else { 1 });
    let row = vec![invoice()[2].clone(), invoice()[5].clone()];
    let value = typed
        .compile()
        .eval(&row, &crate::expr::testing::meta())
        .unwrap();
    assert_eq!(
        value,
        Value::Array(vec![Value::Int(89074), Value::Int(89075), Value::Int(89076)].into())
    );
    assert!(typed.deterministic());
    assert_eq!(
        typed.to_string(),
        "transform(numbers, x -> (x + address.zip))"
    );
}

#[test]
fn the_plan_shows_casts_and_computed_constants() {
    let shown = |sql: &str| check(&parse(sql), &invoices()).unwrap().to_string();
    assert_eq!(shown("TotalValue * 0.2"), "(TotalValue * 0.2)");
    assert_eq!(
        shown("address.zip = 1 + 1L"),
        "(CAST(address.zip AS BIGINT) = 2)"
    );
    assert_eq!(
        shown("CASE WHEN BillNo LIKE 'a%' THEN 1 ELSE 0 END"),
        "CASE WHEN (BillNo LIKE 'a%') THEN 1 ELSE 0 END"
    );
    assert_eq!(
        shown("BillNo IN ('a', 'b') AND NOT TotalValue IS NULL"),
        "((BillNo IN ('a', 'b')) AND (NOT (TotalValue IS NULL)))"
    );
    assert_eq!(shown("upper(items[0].city)"), "upper(items[0].city)");
}
