//! Stories of dates and times.

use super::tests::{evaluate_with, expect, legacy};
use crate::expr::calendar::Zone;

#[test]
fn parts_of_dates_and_times() {
    expect(&[
        ("year(DATE'-0044-03-15')", "-44"),
        ("dayofweek(DATE'2024-03-10')", "1"),
        ("dayofweek(DATE'1960-01-02')", "7"),
        ("weekday(DATE'2024-03-10')", "6"),
        ("weekofyear(DATE'2021-01-03')", "53"),
        ("weekofyear(DATE'2024-12-30')", "1"),
        ("date_part('yearofweek', DATE'2021-01-03')", "2020"),
        (
            "extract(SECOND FROM TIMESTAMP'2019-08-12 01:00:00.123456')",
            "0.123456",
        ),
        (
            "typeof(extract(SECOND FROM TIMESTAMP'2019-08-12 01:00:00'))",
            "decimal(8,6)",
        ),
        ("date_part('doy', DATE'2019-08-12')", "224"),
        (
            "date_part('hours', INTERVAL '5 12:30:01' DAY TO SECOND)",
            "12",
        ),
        ("date_part('month', INTERVAL '2-1' YEAR TO MONTH)", "1"),
        (
            "date_part('century', DATE'2019-08-12')",
            "error: extract: `century` is no field of a date or time",
        ),
        ("unix_seconds(TIMESTAMP'1969-12-31 23:59:59.5Z')", "-1"),
        ("timestamp_seconds(1.5D)", "1970-01-01 00:00:01.5"),
        (
            "timestamp_millis(9223372036854775807)",
            "error: the time is out of range",
        ),
        (
            "timestamp_seconds(0.1234567)",
            "error: the seconds have more than 6 digits after the point, or are out of range",
        ),
        ("current_timestamp()", "2023-11-14 22:13:20.123456"),
        ("current_date()", "2023-11-14"),
        ("unix_timestamp()", "1700000000"),
        ("hour(NULL)", "NULL"),
    ]);
    let berlin = |sql| evaluate_with(sql, true, Zone::Region(chrono_tz::Tz::Europe__Berlin));
    assert_eq!(berlin("hour(TIMESTAMP'2024-07-01 12:00:00Z')"), "14");
    assert_eq!(berlin("current_date()"), "2023-11-14");
    assert_eq!(berlin("localtimestamp()"), "2023-11-14 23:13:20.123456");
}

#[test]
fn dates_and_times_from_text_and_to_text() {
    expect(&[
        ("to_date('2009-07-30 04:17:52')", "2009-07-30"),
        (
            "to_date('2016-02-30', 'yyyy-MM-dd')",
            "error: the text does not fit the pattern; the function with try_ before its name gives NULL",
        ),
        (
            "to_timestamp('2016-12-31T10:00:00+02:00', \"yyyy-MM-dd'T'HH:mm:ssXXX\")",
            "2016-12-31 08:00:00",
        ),
        (
            "to_timestamp('2016-12-31 10:00:00.1234', 'yyyy-MM-dd HH:mm:ss.SSSSSS')",
            "2016-12-31 10:00:00.1234",
        ),
        ("to_timestamp(DATE'2016-12-31')", "2016-12-31 00:00:00"),
        ("to_timestamp(NULL, 'yyyy')", "NULL"),
        ("to_timestamp('31-365', 'dd-DDD')", "1970-12-31 00:00:00"),
        (
            "to_timestamp('2020-12-31-366', 'yyyy-MM-dd-DDD')",
            "2020-12-31 00:00:00",
        ),
        (
            "try_to_timestamp('2020-12-30-366', 'yyyy-MM-dd-DDD')",
            "NULL",
        ),
        ("to_date('16', 'dd')", "1970-01-16"),
        ("try_to_date('02-29', 'MM-dd')", "NULL"),
        (
            "to_date('x', 'YYYY')",
            "error: to_date: the pattern 'YYYY' is not valid: `YYYY` has no meaning in a pattern: write yyyy for the year",
        ),
        (
            "to_timestamp_ntz('2016-04-08', 'yyyy-MM-dd')",
            "2016-04-08 00:00:00",
        ),
        ("try_to_timestamp('2016-13-01')", "NULL"),
        (
            "date_format(TIMESTAMP'2024-03-05 14:07:09.5', 'yyyy/MM/dd hh:mm:ss.SSS a')",
            "2024/03/05 02:07:09.500 PM",
        ),
        ("date_format(DATE'2024-03-05', 'D')", "65"),
        ("from_unixtime(1700000000)", "2023-11-14 22:13:20"),
        ("unix_timestamp(DATE'1970-01-02')", "86400"),
        ("to_unix_timestamp('1970-01-01 00:01:00')", "60"),
    ]);
    let berlin = |sql| evaluate_with(sql, true, Zone::Region(chrono_tz::Tz::Europe__Berlin));
    assert_eq!(berlin("from_unixtime(0)"), "1970-01-01 01:00:00");
    assert_eq!(berlin("unix_timestamp('1970-01-01 01:00:00')"), "0");
    assert_eq!(
        berlin("date_format(TIMESTAMP'2024-07-01 12:00:00Z', 'HH:mm z XXX VV')"),
        "14:00 CEST +02:00 Europe/Berlin"
    );
    assert_eq!(
        berlin("to_date('2024-07-01 23:30Z', 'yyyy-MM-dd HH:mmX')"),
        "2024-07-02"
    );
    assert_eq!(legacy("to_date('2016-02-30', 'yyyy-MM-dd')"), "NULL");
}

#[test]
fn calculating_with_dates_and_times() {
    expect(&[
        ("date_add('2016-07-30', -1)", "2016-07-29"),
        (
            "dateadd(MONTH, 1, TIMESTAMP'2024-01-31 10:00:00')",
            "2024-02-29 10:00:00",
        ),
        (
            "date_add(DATE'2024-01-01', 2147483647)",
            "error: the date, time or interval is out of range",
        ),
        (
            "datediff(HOUR, TIMESTAMP'2024-01-01 00:30:00', TIMESTAMP'2024-01-01 02:00:00')",
            "1",
        ),
        (
            "timestampdiff(MONTH, DATE'2024-03-31', DATE'2024-02-29')",
            "-1",
        ),
        (
            "timestampdiff(YEAR, DATE'2000-02-29', DATE'2001-02-28')",
            "0",
        ),
        (
            "timestampadd(FORTNIGHT, 1, current_timestamp())",
            "error: timestampadd: `FORTNIGHT` is no unit of time",
        ),
        ("add_months('2016-02-29', 12)", "2017-02-28"),
        ("months_between('2024-02-29', '2024-01-31')", "1.0"),
        (
            "months_between('1997-02-28 10:30:00', '1996-10-30', false)",
            "3.9495967741935485",
        ),
        ("next_day('2015-01-14', 'Wednesday')", "2015-01-21"),
        (
            "next_day('2015-01-14', 'xx')",
            "error: the text is no weekday",
        ),
        ("trunc('2019-08-04', 'quarter')", "2019-07-01"),
        ("trunc('2019-08-04', 'hour')", "NULL"),
        (
            "date_trunc('week', '2015-03-05 09:32:05')",
            "2015-03-02 00:00:00",
        ),
        (
            "date_trunc('MILLISECOND', TIMESTAMP'2015-03-05 09:32:05.123456')",
            "2015-03-05 09:32:05.123",
        ),
        ("date_trunc('x', '2015-03-05')", "NULL"),
        ("make_date(2019, 2, 29)", "error: there is no such date"),
        (
            "make_timestamp(2019, 6, 30, 23, 59, 60)",
            "2019-07-01 00:00:00",
        ),
        (
            "make_timestamp(2019, 6, 30, 23, 59, 60.5)",
            "error: there is no such time",
        ),
        (
            "make_timestamp(2014, 12, 28, 6, 30, 45.887, 'CET')",
            "2014-12-28 05:30:45.887",
        ),
        (
            "make_dt_interval(100, 11)",
            "INTERVAL '100 11:00:00' DAY TO SECOND",
        ),
        (
            "from_utc_timestamp('2016-08-31', 'Nowhere')",
            "error: from_utc_timestamp: `Nowhere` is no time zone, such as Europe/Berlin or +01:00",
        ),
        (
            "from_utc_timestamp('2016-08-31', '+09:00')",
            "2016-08-31 09:00:00",
        ),
    ]);
    let berlin = |sql| evaluate_with(sql, true, Zone::Region(chrono_tz::Tz::Europe__Berlin));
    assert_eq!(
        berlin("timestampadd(DAY, 1, TIMESTAMP'2024-03-30 12:00:00')"),
        "2024-03-31 12:00:00"
    );
    assert_eq!(
        berlin("timestampadd(HOUR, 24, TIMESTAMP'2024-03-30 12:00:00')"),
        "2024-03-31 13:00:00"
    );
    assert_eq!(
        berlin("date_trunc('DAY', TIMESTAMP'2024-03-31 12:00:00')"),
        "2024-03-31 00:00:00"
    );
    assert_eq!(legacy("make_date(2019, 2, 29)"), "NULL");
    assert_eq!(legacy("next_day('2015-01-14', 'xx')"), "NULL");
}
