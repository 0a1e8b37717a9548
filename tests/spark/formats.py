#!/usr/bin/env python3
"""Asks Spark how it reads awkward files of CSV and JSON, and how it writes CSV and JSON, under many options.

Files of parquet and ORC that Spark writes go to blocks/, beside each the rows as Spark reads them; `formats blocks` makes them alone.
The other answers go to formats.jsonl, an object a line: the file (`text`, or `hex` where it is no text), the columns, the
options, those of the columns that are selected, and Spark's `rows` as to_json writes them, or `fails`. A case that writes
has `rows` as its input and Spark's `lines`. The test is operators/src/codecs/goldens.rs. Run it by `tests/spark/make formats`.

How folders of files are read goes to folders.jsonl: the `files` by name, the `path`, and Spark's `rows` in the order of their text; `formats folders`
makes it alone. The test is operators/src/files/goldens.rs.
"""

import itertools
import json
import pathlib
import re
import sys
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, from_json, struct, to_csv, to_json

HERE = pathlib.Path(__file__).parent
ABC = "a STRING, b STRING, c STRING"
CORRUPT = "a INT, b STRING, c DOUBLE, _corrupt_record STRING"
MODES = [{"mode": mode} for mode in ("PERMISSIVE", "DROPMALFORMED", "FAILFAST")]
MULTI = {"multiLine": "true"}


def both(options):
    """An option set, read line by line and as a whole."""
    return [options, {**options, **MULTI}]


def read(name, form, text, columns, options=({},), select=None):
    for number, given in enumerate(options):
        case = {"name": f"{name} {number}", "format": form, "columns": columns, "options": given}
        case["text" if isinstance(text, str) else "hex"] = text if isinstance(text, str) else text.hex()
        if select:
            case["select"] = select
        yield case


def csv_cases():
    def one(name, text, columns=ABC, options=({},), select=None):
        return read(name, "csv", text, columns, options, select)

    yield from one("plain", "1,x,1.5\n2,y,2.5\n", "a INT, b STRING, c DOUBLE", both({}))
    yield from one("header", "a,b,c\n1,x,1.5\n2,y,2.5\n", "a INT, b STRING, c DOUBLE", both({"header": "true"}))
    uneven = "1,a\n2,b,3.5,d\n3\n4,d,5\nx,y,z\n,,\n6,f,\n"
    yield from one("uneven", uneven, "a INT, b STRING, c DOUBLE", [*MODES, MULTI])
    yield from one("uneven kept", uneven, CORRUPT, [*MODES, {**MODES[0], **MULTI}])
    yield from one("uneven kept unused", uneven, CORRUPT, MODES, "a, b")
    yield from one("uneven kept alone", uneven, CORRUPT, MODES[:2], "_corrupt_record, b")
    yield from one("uneven some", uneven, "a INT, b STRING, c DOUBLE", [*MODES, MULTI], "b")
    yield from one("named corrupt", uneven, "a INT, bad STRING, b STRING, c DOUBLE",
                   [{"columnNameOfCorruptRecord": "bad"}, {"columnNameOfCorruptRecord": "bad", **MULTI}])
    quotes = (
        '"a","b ""x"" c",d\n"a"b,"c" d,"e"f"g\n"\\"q\\"",x"y"z,""\n"a\\\\","b\\"",c\n"x" ,"y"\t,"z"  w\n'
        '"","",""\n"a,b",c",d\n"a""b",c,"d"\n\'a\',\'b,c\',d\n"",x,"y""\n"\\a","b\\nc",\\"d\\"\n'
    )
    styles = [
        {},
        {"escape": '"'},
        {"quote": "'"},
        {"quote": ""},
        {"escape": ""},
        {"charToEscapeQuoteEscaping": "#"},
        {"escape": "#", "charToEscapeQuoteEscaping": "\\"},
        {"ignoreLeadingWhiteSpace": "true", "ignoreTrailingWhiteSpace": "true"},
    ]
    yield from one("quotes", quotes, ABC, styles)
    yield from one("quotes whole", quotes, ABC, [{**style, **MULTI} for style in styles])
    handling = ["STOP_AT_CLOSING_QUOTE", "STOP_AT_DELIMITER", "BACK_TO_DELIMITER", "SKIP_VALUE", "RAISE_ERROR"]
    for line in ['"a"b,"c",d', '"a" b,c,"d"e', 'a,"b"c"d",e', '"a,b"c,d', '"a"\\"b,c,d', '"a,b', 'x,"y"z"', '"a""b"c,d,e']:
        yield from one(f"stray {line}", line + "\n1,2,3\n", ABC, [{"unescapedQuoteHandling": h} for h in handling])
    yield from one("open quote", '"open,x,y\n1,2,3\nx,"y\n', ABC, both({}))
    lines = '1,"two\nlines",x\n2,"crlf\r\nin it",y\n3,z,"end\n"\n'
    yield from one("lines in quotes", lines, ABC, both({}))
    yield from one("lines in quotes crlf", lines.replace("\n", "\r\n"), ABC, both({}))
    yield from one("line ends", "1,a,b\r\n2,c,d\r3,e,f\n", ABC, both({}))
    yield from one("cr", "1,a,b\r2,c,d\r\r3,e,f", ABC, both({}))
    yield from one("no last end", "1,a,b\n2,c,", ABC, both({}))
    yield from one("line separator", "1,a,b;2,c\nx,d;3;;4,\"e;f\",g;", ABC, both({"lineSep": ";"}))
    yield from one("line separator pipe", "1,a,b|2,c,d", ABC, [{"lineSep": "|"}, {"lineSep": "\r\n"}])
    kept = "a STRING, b STRING, _corrupt_record STRING"
    for text in [
        "x,b\n;y,c", "\nx,b;y,c", "x,b\r\n;y", "a,b;c,tail\n", 'x,b;y,"c\nd";z,e', 'x,"b;c";z,e', 'a,"b\n\n\nc"\n\nd,e', 'x,b\r;y,"c\n";', 'a,"b"\n;c,d',
        '"a"\n,b;c', "a,b,c\n;x", "a,b,c\r;x", "a,b,c;x\n", ";;\n;a,b", " \n ;a", "\ufeffa,b;\ufeffc,d;",
    ]:
        for number, handled in enumerate(({}, {"unescapedQuoteHandling": "BACK_TO_DELIMITER"})):
            yield from one(f"line separator of one's own {text!r} {number}", text, kept, both({"lineSep": ";", **handled}))
    yield from one("line separator unseen", "x,b\n\x01y,c\x01", kept, both({"lineSep": "\x01"}))
    for text in ["\r\n\n,a\r\nb\n\r\n,\r\n", "\n\r\n,a,\r\n", 'a,"b\n\n\nc"\r\n\n\nd,e\r\n', "a,b,c\r\n\n\nd,e", 'a,b\r\n"c\r\nd"\n,e\r\n\nf']:
        yield from one(f"mixed ends {text!r}", text, kept, both({"lineSep": "\r\n"}))
        yield from one(f"mixed ends guessed {text!r}", text, kept, both({}))
    yield from one("mixed ends of a carriage return", 'a,b\rc\n,d\r\r\n\n,,"e\rf"\n\r', kept, [MULTI, {"lineSep": "\r"}, {"lineSep": "\r", **MULTI}])
    comments = "#c\n1,a,b\n #no\n2,#x,y\n\n#\n"
    yield from one("comments", comments, ABC, [*both({"comment": "#"}), *both({}), {"comment": "#", "header": "true"}])
    yield from one("byte order mark", "\ufeffa,b,c\n1,2,3\n", ABC, [*both({"header": "true"}), *both({})])
    blank = "\n1,a,b\n\n  \n,,\n2,c,d\n\t\n\n"
    yield from one("empty lines", blank, ABC, [*both({}), *both({"header": "true"})])
    yield from one("nothing", "", ABC, both({}))
    yield from one("only a header", "a,b,c\n", ABC, both({"header": "true"}))
    header = "A,b,c\n1,2,3\n"
    yield from one("header checked", header, ABC, both({"header": "true", "enforceSchema": "false"}))
    yield from one("header wrong", "a,x,c\n1,2,3\n", ABC, both({"header": "true", "enforceSchema": "false"}))
    yield from one("header short", "a,b\n1,2,3\n", ABC, [{"header": "true", "enforceSchema": "false"}])
    numbers = (
        "1,1,1,1\n-128,-32768,-2147483648,-9223372036854775808\n128,32768,2147483648,9223372036854775808\n"
        "+5,+6,+7,+8\n 1, 2, 3, 4\n1.0,1.0,1.0,1.0\n,,,\n1e2,0x1,1L,1_0\n"
    )
    yield from one("whole numbers", numbers, "a TINYINT, b SMALLINT, c INT, d BIGINT", [{}, {"mode": "DROPMALFORMED"}])
    floats = (
        "1.5,1.5,1.5\n-0.0,.5,5.\n1e3,1E-3,1e5\n Inf,-Inf,Inf\nInf,-Inf,+Inf\nNaN,nan,NaN\nInfinity,-Infinity,+Infinity\n"
        '1d,1f,1D\n 1.5 , 1.5,1.5 \nx1p3,abc,\n"1,000","1,000.5","1,0,0"\n12345.678,1e400,99999999999\n1.005,2.5,0.005\n'
        "1.5x,--1,+-1\n"
    )
    yield from one("fractions", floats, "a FLOAT, b DOUBLE, c DECIMAL(10,2)",
                   [{}, {"nanValue": "nan", "positiveInf": "+Inf", "negativeInf": " Inf"}])
    yield from one("hexadecimal fractions", "0x1p3,0x1.8p1\n", "a FLOAT, b DOUBLE")
    dates = (
        "2024-02-29,2024-02-29 10:11:12,2024-02-29 10:11:12\n2023-02-29,2024-13-01 00:00:00,x\n2024-1-5,2024-1-5 1:2:3,2024-1-5 1:2:3\n"
        "2024,2024,2024\n2024-05,2024-05,2024-05\n20240501,2024-05-01T10:00:00Z,2024-05-01T10:00:00Z\n"
        "2024-05-01 10:00,2024-05-01T10:00:00+02:00,2024-05-01T10:00:00.123456\n 2024-05-01 , 2024-05-01 , 2024-05-01 \n"
        "2024-05-01GMT,2024-05-01T00:00:00GMT+01:00,2024-05-01T10\n01/05/2024,01/05/2024 10:11,01/05/2024 10:11\n0001-01-01,9999-12-31 23:59:59.999999,1582-10-10 00:00:00\n"
        "-0001-01-01,1900-01-01 00:00:00,\n2024-05-01abc,2024-05-01 10:11:12 Europe/Berlin,2024-05-01 24:00:00\n"
    )
    typed = "a DATE, b TIMESTAMP, c TIMESTAMP_NTZ"
    patterns = {"dateFormat": "dd/MM/yyyy", "timestampFormat": "dd/MM/yyyy HH:mm", "timestampNTZFormat": "dd/MM/yyyy HH:mm"}
    yield from one("dates", dates, typed, [{}, {"mode": "DROPMALFORMED"}, patterns, {"timeZone": "Europe/Berlin"}])
    more = "2024-05-01,2024-05-01 10:11:12.5,2024-05-01 10:11:12\n01.05.24,01.05.2024 3 PM,x\n2024 123,1714557600,2024123\n"
    for date, time in [("yyyy-MM-dd", "yyyy-MM-dd HH:mm:ss[.S]"), ("dd.MM.yy", "dd.MM.yyyy h a"), ("yyyy D", "yyyy-MM-dd'T'HH:mm:ssXXX")]:
        yield from one(f"patterns {date}", more, typed, [{"dateFormat": date, "timestampFormat": time, "timestampNTZFormat": time}])
    yield from one("booleans", "true,TRUE,True\nfalse,F,0\n1,yes,\n true,t,n\n", "a BOOLEAN, b BOOLEAN, c BOOLEAN")
    yield from one("binary", "abc,\u00fc,\n", "a BINARY, b BINARY, c BINARY")
    yield from one("unicode", "\u00e9,\u00df,\u65e5\u672c\n\u2028,\U0001f600,\u00a0x\u00a0\n", ABC, [{}, styles[-1], {"sep": "\u00df"}, {"quote": "\u00e9"}])
    yield from one("invalid", b"a\xff,b,c\n\xc3(,d,\xe2\x82\n\"\xff\",\xf0\x9f\x98,\"x\ny\xff\"\n", ABC, both({}))
    nulls = ',"",NULL\nNULL,"NULL",\n"",,x\n-,"-","a-"\n\\N,"\\N",N\n'
    for given in [{}, {"nullValue": "NULL"}, {"emptyValue": "EMPTY"}, {"nullValue": "NULL", "emptyValue": "E"}, {"nullValue": "-", "emptyValue": ""}, {"nullValue": "\\N"}]:
        yield from one(f"null values {given}", nulls, ABC, [given])
    yield from one("null numbers", "-,-,-\n1,2,3\n,,\n", "a INT, b DOUBLE, c DATE", [{}, {"nullValue": "-"}])
    white = ' a , "b" ,c \n "x" y, ,\t\n  ,"  ",\n1,2,   \n'
    for lead, trail in itertools.product(("false", "true"), repeat=2):
        yield from one(f"white space {lead} {trail}", white, ABC, both({"ignoreLeadingWhiteSpace": lead, "ignoreTrailingWhiteSpace": trail}))
    wide = 'a||b||c\n"x||y"||z||"q"\n|a|||b||\n||\n||||\n"p" ||"q"|| "r"\na|b||c|||d\n'
    yield from one("wide delimiter", wide, ABC, [{"sep": "||"}, {"sep": "||", **MULTI}, {"sep": "||", **styles[-1]}, {"delimiter": "|"}])
    yield from one("tabs", 'a\tb\tc\n"x\ty"\t z\t\n\t\t\n"x" \ty\tz\n', ABC, [{"sep": "\\t"}, {"sep": "\t", **styles[-1]}])
    yield from one("semicolon", 'a;b;c\n"x;y";z;1,5\n', ABC, [{"sep": ";"}])
    yield from one("limits", "a,b,c\nabcd,e,f\na,b,c,d\n", ABC, [{"maxColumns": "3"}, {"maxCharsPerColumn": "3"}, {"maxColumns": "4", "mode": "DROPMALFORMED"}])
    latin = "\u00e9,\u00fc,x\n1,2,3\n"
    yield from one("latin", latin.encode("latin-1"), ABC, [{"encoding": "ISO-8859-1"}, {"charset": "ISO-8859-1", **MULTI}])
    yield from one("utf-16", latin.encode("utf-16-le"), ABC, [{"encoding": "UTF-16LE", **MULTI}])


def json_cases():
    def one(name, text, columns, options=({},), select=None):
        return read(name, "json", text, columns, options, select)

    plain = '{"a":1,"b":"x"}\n{"b":"y","a":2}\n\n{"a":3}\n{}\n'
    yield from one("plain", plain, "a INT, b STRING")
    yield from one("plain kept", plain, "a INT, b STRING, _corrupt_record STRING")
    bad = '{"a":1,"b":"x"}\n{"a":"1","b":"x"}\n{"a":1.5,"b":2}\n{"a":1,"b":\n[1]\n{"a":99999999999,"b":"big"}\nnull\n1\n"x"\n{"a":1,"b":"x"} trailing\n{"a":1}{"a":2}\n  \n{"a":[1],"b":[1, 2]}\n{"a":1,"a":2,"b":"twice"}\n{"A":5,"B":"case"}\n'
    kept = "a INT, b STRING, _corrupt_record STRING"
    yield from one("bad", bad, "a INT, b STRING", MODES)
    yield from one("bad kept", bad, kept, MODES)
    yield from one("bad kept some", bad, kept, MODES[:2], "b")
    yield from one("bad some", bad, "a INT, b STRING", MODES, "b")
    yield from one("named corrupt", bad, "bad STRING, a INT", [{"columnNameOfCorruptRecord": "bad"}])
    arrays = '[{"a":1},{"a":2}]\n[]\n[{"a":3},4]\n[{"a":"x"},{"a":5}]\n[[{"a":6}]]\n{"a":7}\n[null]\n'
    yield from one("arrays", arrays, "a INT, _corrupt_record STRING", MODES)
    yield from one("array of lines", '[{"a":1,"b":"x"},\n {"a":2,"b":"y\\n"}\n]', "a INT, b STRING, _corrupt_record STRING", [{}, MULTI])
    yield from one("one object", '{\n "a": 1,\n "b": {"c": [1,\n2]}\n}\n', "a INT, b STRUCT<c: ARRAY<INT>>", [MULTI])
    yield from one("objects in a row", '{"a":1}\n{"a":2}\n', "a INT, _corrupt_record STRING", [MULTI])
    yield from one("broken whole", '[{"a":1},{"a":', "a INT, _corrupt_record STRING", [{**m, **MULTI} for m in MODES])
    yield from one("nothing", "", "a INT", [{}, MULTI])
    yield from one("white space", " \n\n", "a INT", [{}, MULTI])
    yield from one("byte order mark", '\ufeff{"a":1}\n{"a":2}\n', "a INT, _corrupt_record STRING", [{}, MULTI])
    loose = (
        '{"a":1,"b":"c" /* x */}\n{"a":1,"b":"c"} // x\n{a:1,b:"c"}\n{\'a\':1,\'b\':\'c"\'}\n{"a":007,"b":"c"}\n{"a":1,"b":"\\q\\$"}\n{"a":1,"b":"x\ty"}\n'
        '{"a":1,"b":"c",}\n{"a":+1,"b":"c"}\n{"a":.5,"b":"c"}\n{"a":-01,"b":1.}\n# x\n{"a":1 # y\n}\n{$a_1:1,"b":NaN}\n'
    )
    flags = [
        "allowComments", "allowUnquotedFieldNames", "allowNumericLeadingZeros",
        "allowBackslashEscapingAnyCharacter", "allowUnquotedControlChars",
    ]
    yield from one("loose", loose, kept, [{}, *[{flag: "true"} for flag in flags], {"allowSingleQuotes": "false"}, {flag: "true" for flag in flags}])
    for name, text in [
        ("between", '{"a":1}\n// line\n/* c */\n{"a":2}\n'), ("array", '/* [ */ [{"a":1}] // ]\n'), ("before an array", '// c\n[{"a":1},{"a":2}]\n'),
        ("only", " /* a */ // b"), ("open", '{"a":1}\n/* c\n{"a":2}\n'), ("slash", "/"), ("over lines", '/* a\n */ {"a":3}\n'), ("hash", "# x\n"),
    ]:
        comments = {"allowComments": "true"}
        yield from one(f"comments {name}", text, "a INT, _corrupt_record STRING", [{}, *[{**comments, **m} for m in MODES], {**comments, **MULTI}])
    odd = '{"a":NaN,"b":Infinity}\n{"a":-Infinity,"b":INF}\n{"a":"NaN","b":"-INF"}\n{"a":"Infinity","b":"+INF"}\n{"a":"1.5","b":1e400}\n{"a":+INF,"b":-INF}\n{"a":nan,"b":1}\n'
    yield from one("no numbers", odd, "a DOUBLE, b FLOAT, _corrupt_record STRING", [{}, {"allowNonNumericNumbers": "false"}])
    types = (
        '{"a":true,"b":1,"c":12.345,"d":"AQI=","e":{"x":1,"y":"2"},"f":[1,"2",null],"g":{"k":1}}\n'
        '{"a":"true","b":"1","c":"12.345","d":"?","e":{"x":"1"},"f":{"a":1},"g":{"k":"v"}}\n'
        '{"a":1,"b":1.0,"c":1e2,"d":1,"e":[1],"f":[1,2],"g":[]}\n{"a":null,"b":"","c":"","d":"","e":null,"f":[],"g":{}}\n'
        '{"a":false,"b":-9223372036854775808,"c":12345678.9,"d":null,"e":{},"f":null,"g":{"k":1}}\n'
    )
    yield from one("twice in a map", '{"g":{"k":1,"k":2}}\n', "g MAP<STRING, INT>")
    yield from one("types", types, "a BOOLEAN, b BIGINT, c DECIMAL(9,2), d BINARY, e STRUCT<x: INT, y: STRING>, f ARRAY<INT>, g MAP<STRING, INT>, _corrupt_record STRING", MODES[:2])
    texts = '{"a":1,"b":true}\n{"a":{"x": [1, 2 ]},"b":null}\n{"a":1.50,"b":"\\u00e9\\n"}\n{"a":[ ],"b":1e3}\n'
    yield from one("texts", texts, "a STRING, b STRING", [{}, {"primitivesAsString": "true"}, {"prefersDecimal": "true"}])
    dates = (
        '{"a":"2024-02-29","b":"2024-02-29T10:11:12Z","c":"2024-02-29 10:11:12"}\n{"a":"2023-02-29","b":"x","c":"2024-02-29T10:11:12Z"}\n'
        '{"a":"01/05/2024","b":"01/05/2024 10:11","c":"01/05/2024 10:11"}\n{"a":19000,"b":1700000000,"c":1700000000}\n{"a":"19000","b":"1700000000","c":""}\n'
        '{"a":"2024","b":"2024-05","c":"2024"}\n{"a":"2024-05-01GMT","b":"2024-05-01T00:00:00GMT+01:00","c":null}\n{"a":" 2024-05-01 ","b":" 2024-05-01","c":"2024-05-01"}\n'
    )
    patterns = {"dateFormat": "dd/MM/yyyy", "timestampFormat": "dd/MM/yyyy HH:mm", "timestampNTZFormat": "dd/MM/yyyy HH:mm"}
    yield from one("dates", dates, "a DATE, b TIMESTAMP, c TIMESTAMP_NTZ, _corrupt_record STRING", [{}, patterns, {"timeZone": "Europe/Berlin"}])
    yield from one("line separator", '{"a":1}|{"a":2}\n|{"a":3}||', "a INT", [{"lineSep": "|"}])
    yield from one("line ends", '{"a":1}\r\n{"a":2}\r{"a":3}\n', "a INT")
    yield from one("unicode", '{"a":"\u00e9\u65e5\U0001f600"}\n{"\u00e9":1,"a":"\\u00e9\\ud83d\\ude00"}\n', "a STRING, _corrupt_record STRING")
    yield from one("half a character", '{"a":"\\ud83d"}\n', "a STRING")
    yield from one("invalid", b'{"a":"x\xff"}\n{"a":"y"}\n\xff{"a":"z"}\n', "a STRING, _corrupt_record STRING", [{}, MODES[1]])
    yield from one("latin", '{"a":"\u00e9"}\n'.encode("latin-1"), "a STRING", [{"encoding": "ISO-8859-1", "lineSep": "\n"}])
    yield from one("utf-16", '{"a":"\u00e9"}'.encode("utf-16-le"), "a STRING", [{"encoding": "UTF-16LE", **MULTI}])
    nested = '{"e":{"x":"bad","y":"kept"},"f":[1,"bad",3],"g":{"k":"bad","l":2},"h":[{"x":1},{"x":"bad"}]}\n'
    yield from one("nested misfits", nested, "e STRUCT<x: INT, y: STRING>, f ARRAY<INT>, g MAP<STRING, INT>, h ARRAY<STRUCT<x: INT>>, _corrupt_record STRING")


def write_cases():
    columns = "a STRING, b STRING, c DOUBLE, d DATE, e TIMESTAMP, f TIMESTAMP_NTZ, g DECIMAL(20,10), h BOOLEAN"
    rows = [
        '{"a":"x","b":"y","c":1.5,"d":"2024-02-29","e":"2024-02-29T10:11:12.123456Z","f":"2024-02-29T10:11:12","g":1.5,"h":true}',
        "{}",
        '{"a":"","b":" ","c":1e20,"d":"0001-01-01","e":"1969-12-31T23:59:59.999Z","f":"1969-12-31T23:59:59.999","g":0,"h":false}',
        '{"a":"a,b","b":"say \\"hi\\"","c":-0.0,"g":0.0000000001}',
        '{"a":"\\"quoted\\"","b":"back\\\\slash","c":1e-5,"g":-0.00000012}',
        '{"a":" lead","b":"trail ","c":"NaN"}',
        '{"a":"line\\nbreak","b":"cr\\rhere","c":"Infinity"}',
        '{"a":"#hash","b":"#hash"}',
        '{"a":"\\\\","b":"a\\\\\\"b"}',
        '{"a":"x\\\\,y","b":"\'single\'"}',
        '{"a":"tab\\there","b":"semi;colon|pipe"}',
        '{"a":"null","b":"-"}',
    ]
    sets = [
        {}, {"quoteAll": "true"}, {"escapeQuotes": "false"}, {"escape": '"'}, {"quote": "'"}, {"quote": ""}, {"sep": ";"}, {"sep": "\t"}, {"sep": "||"},
        {"nullValue": "null"}, {"nullValue": "-", "quoteAll": "true"}, {"emptyValue": ""}, {"emptyValue": "E", "quoteAll": "true"},
        {"ignoreLeadingWhiteSpace": "false", "ignoreTrailingWhiteSpace": "false"}, {"charToEscapeQuoteEscaping": "#"}, {"comment": "#"}, {"comment": "l"}, {"lineSep": "|"},
        {"dateFormat": "dd/MM/yyyy", "timestampFormat": "dd/MM/yyyy HH:mm", "timestampNTZFormat": "yyyy"}, {"timeZone": "Europe/Berlin"},
    ]
    for number, options in enumerate(sets):
        yield {"name": f"written {number}", "format": "csv", "columns": columns, "options": options, "rows": rows}
    for number, options in enumerate([{}, {"ignoreNullFields": "false"}, {"dateFormat": "dd/MM/yyyy", "timestampFormat": "dd/MM/yyyy HH:mm", "timestampNTZFormat": "yyyy"}, {"timeZone": "Europe/Berlin"}]):
        yield {"name": f"written {number}", "format": "json", "columns": columns, "options": options, "rows": rows}


def folder_cases():
    """Folders of small files. What Spark's streams and its batches read differently is left out, except where a stream fails."""
    def one(name, form, columns, files, path="in", options=None, select=None):
        case = {"name": name, "format": form, "columns": columns, "options": options or {}, "path": path, "files": files}
        if select:
            case["select"] = select
        return case

    header = {"header": "true"}
    for number, columns in enumerate(["a INT, p INT, b STRING", "p INT, a INT, b STRING", "a INT, b STRING, p INT", "a INT, b STRING"]):
        kind = f"values beside a folder {number}"
        yield one(kind, "csv", columns, {"p=1/x.csv": "1,z\n", "p=2/y.csv": "2,\n"})
        yield one(f"{kind} header", "csv", columns, {"p=1/x.csv": "a,b\n1,z\n"}, options=header)
        yield one(f"{kind} names", "csv", columns, {"p=1/x.csv": "a,b\n1,z\n"}, options={**header, "enforceSchema": "false"})
    yield one("values beside a folder some", "csv", "p INT, a INT, b STRING", {"p=1/x.csv": "1,z\n"}, select="b, p")
    yield one("values beside a folder none", "csv", "p INT, a INT, b STRING", {"p=1/x.csv": "1,z\n"}, select="p")
    yield one("values beside folders", "csv", "q STRING, a INT, p INT, b STRING", {"p=1/q=x/x.csv": "1,z\n"})
    yield one("values counted", "csv", "a INT, p INT, _corrupt_record STRING", {"p=1/x.csv": "1\n1,2\nx\n"})
    yield one("own values", "json", "a INT, p INT, _corrupt_record STRING", {"p=1/x.json": '{"a":1,"p":"none"}\n{"a":2,"p":7}\n'})
    yield one("other case", "json", "a INT, p INT", {"P=1/x.json": '{"a":1,"p":3}'})
    for columns in ["value STRING, p INT", "p STRING, line STRING"]:
        yield one(f"text beside a folder {columns}", "text", columns, {"p=1/x.txt": "a\nb\n", "p=2/y.txt": "c"})
    yield one("text beside a folder whole", "text", "value STRING, p INT", {"p=1/x.txt": "a\nb\n"}, options={"wholetext": "true"})
    yield one("text beside no folder", "text", "value STRING, p INT", {"x.txt": "a\n"})
    yield one("text beside a folder that says too little", "text", "value STRING, p INT, q INT", {"p=1/x.txt": "a\n"})
    for form, row in [("json", '{"a":"1"}'), ("csv", "1"), ("text", "1")]:
        for packed in ["gz", "deflate"]:
            for options in [{}, {"wholetext": "true"} if form == "text" else MULTI]:
                yield one(f"nothing in a file {packed} {options}", form, "a STRING", {f"x.{packed}": "", f"y.{form}": row}, options=options)
    roots = {"p=1/x.json": '{"a":1,"p":5}\n', "p=2/x.json": '{"a":2,"p":6}\n'}
    for path in ["in", "in/p=1", "in/p=*", "in/*", "in/p=1/*.json", "in/p=1/x.json", "in/p=1/../p=2", "./in/p=2/"]:
        yield one(f"root {path}", "json", "a INT, p INT", roots, path)
        yield one(f"root {path} csv", "csv", "a INT, p INT", {"p=1/x.json": "1,5\n", "p=2/x.json": "2,6\n"}, path) if path != "in" else one("root csv", "csv", "a INT, p INT", {"p=1/x.json": "1\n"})
    yield one("root recursive", "json", "a INT, p INT", roots, options={"recursiveFileLookup": "true"})
    deep = {"s/p=1/x.json": '{"a":1,"p":5}\n'}
    for path in ["in/s", "in/*", "in/s/*"]:
        yield one(f"deep {path}", "json", "a INT, p INT", deep, path)
    hidden = {"_t/f.json": '{"a":1}', ".h/f.json": '{"a":2}', "_spark_metadata/0": '{"a":3}', "_f.json": '{"a":4}', ".g.json": '{"a":5}', "x/_t/f.json": '{"a":6}', "x._COPYING_/f.json": '{"a":7}', "x/_g.json": '{"a":8}', "y/f.json": '{"a":9}'}
    for path in ["in/*", "in/*/*", "in/_t", "in/[^_.]*", "in/*/f.json", "in/_*/*.json", "in/x"]:
        yield one(f"hidden {path}", "json", "a INT", hidden, path)
    values = ["007", "1.5", "1e3", "true", "TRUE", "99999999999", "-0", "+1", " 5", "5 ", "", "%FC", "%C3%BC", "\u00fc", "a%20b", "%5", "0x10", "1.005", "NaN", "Infinity", "1d", "x", "5%20", "__HIVE_DEFAULT_PARTITION__", "2024-01-02", "2024-01-02 03%3A04%3A05"]
    for value in values:
        for kind in ["INT", "STRING", "DECIMAL(5,2)", "BINARY", "BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP"]:
            yield one(f"value {value!r} {kind}", "json", f"a INT, p {kind}", {f"p={value}/x.json": '{"a":1}'})


def folders(spark, scratch):
    answers = []
    for number, case in enumerate(folder_cases()):
        for name, text in case["files"].items():
            file = scratch / str(number) / "in" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        load(spark, case, f"{scratch}/{number}/{case['path']}")
        case.get("rows", []).sort()
        answers.append(json.dumps(case, ensure_ascii=True))
    (HERE / "folders.jsonl").write_text("".join(f"{line}\n" for line in answers))
    print(f"folders: {len(answers)} cases")


def answer(spark, case, folder):
    if "rows" in case:
        table = spark.createDataFrame([(row,) for row in case["rows"]], "row STRING")
        table = table.select(from_json("row", case["columns"]).alias("row"))
        write = to_csv if case["format"] == "csv" else to_json
        case["lines"] = [row.line for row in table.select(write(col("row"), case["options"]).alias("line")).collect()]
        return
    folder.mkdir()
    data = case["text"].encode() if "text" in case else bytes.fromhex(case["hex"])
    (folder / "file").write_bytes(data)
    load(spark, case, str(folder))


def load(spark, case, path):
    """Reads a folder as the case says; its answer is the rows, or why it fails."""
    try:
        table = spark.read.schema(case["columns"]).options(**case["options"]).format(case["format"]).load(path)
        if "select" in case:
            table = table.select(*[name.strip() for name in case["select"].split(",")])
        lines = table.select(to_json(struct("*"), {"ignoreNullFields": "false"}).alias("line")).collect()
    except Exception as error:  # whatever Spark throws is its answer
        found = re.search(r"\[([A-Z_]+(\.[A-Z_]+)*)\]|(\w+Exception)", str(error))
        case["fails"] = found.group(1) or found.group(3) if found else "error"
        return
    case["rows"] = [row.line for row in lines]


BLOCKS = [
    "SELECT 1 AS id, 'a' AS name, CAST(1.25 AS DECIMAL(9,2)) AS small, CAST(1.25 AS DECIMAL(30,10)) AS big, DATE'2024-02-29' AS day, TIMESTAMP'2024-02-29 10:11:12.123456' AS at, TIMESTAMP_NTZ'2024-02-29 10:11:12.123456' AS local, CAST(1 AS TINYINT) AS tiny, 1.5F AS f, true AS flag, array(1, NULL) AS list, map('k', 1L) AS pairs, named_struct('x', 1, 'y', array(named_struct('z', TIMESTAMP'2024-02-29 10:11:12'))) AS parts, X'0102' AS bytes",
    "SELECT 2, NULL, -0.01, CAST('-1e-10' AS DECIMAL(30,10)), DATE'9999-12-31', TIMESTAMP'9999-12-31 23:59:59', NULL, CAST(-128 AS TINYINT), CAST('NaN' AS FLOAT), NULL, array(), map(), NULL, X''",
    "SELECT 3, '\u00e9', NULL, NULL, DATE'1600-01-01', TIMESTAMP'1600-01-01 00:00:00', TIMESTAMP_NTZ'1600-01-01 00:00:00', NULL, NULL, false, NULL, map('a', NULL, 'b', 2L), named_struct('x', NULL, 'y', NULL), NULL",
    # Before the days that the calendar jumped over, and right behind them.
    "SELECT 4, 'old', NULL, NULL, DATE'1500-01-01', TIMESTAMP'1500-03-01 01:02:03.123456', TIMESTAMP_NTZ'1582-10-04 00:00:00.5', NULL, NULL, NULL, NULL, NULL, named_struct('x', 1, 'y', array(named_struct('z', TIMESTAMP'1582-10-04 10:11:12'), named_struct('z', TIMESTAMP'1582-10-15 10:11:12'))), NULL",
]
WIDE = (
    "id BIGINT, name STRING, small DECIMAL(12,4), big DECIMAL(38,10), day DATE, at TIMESTAMP, local TIMESTAMP_NTZ, tiny INT, f DOUBLE, flag BOOLEAN, "
    "list ARRAY<BIGINT>, pairs MAP<STRING, BIGINT>, parts STRUCT<x: INT, y: ARRAY<STRUCT<z: TIMESTAMP>>>, bytes BINARY, absent STRING"
)


def blocks(spark, scratch):
    """Files of parquet (times as int96, micros, millis) and ORC, and what Spark reads of them with wider columns."""
    folder = HERE / "blocks"
    folder.mkdir(exist_ok=True)
    table = spark.sql(" UNION ALL ".join(BLOCKS)).coalesce(1)
    for name, form, times in [("int96.parquet", "parquet", "INT96"), ("micros.parquet", "parquet", "TIMESTAMP_MICROS"), ("millis.parquet", "parquet", "TIMESTAMP_MILLIS"), ("times.orc", "orc", "INT96")]:
        spark.conf.set("spark.sql.parquet.outputTimestampType", times)
        out = scratch / name
        table.write.format(form).save(str(out))
        part = next(out.glob("part-*"))
        (folder / name).write_bytes(part.read_bytes())
        # ORC widens nothing: its own columns are read.
        columns = WIDE if form == "parquet" else table.schema
        lines = spark.read.schema(columns).format(form).load(str(folder / name)).select(to_json(struct("*"), {"ignoreNullFields": "false"}).alias("line")).collect()
        (folder / f"{name}.jsonl").write_text("".join(f"{row.line}\n" for row in lines))
    # A writer whose zone has no name in the database of zones.
    zones = spark._jvm.java.util.TimeZone
    before = zones.getDefault()
    zones.setDefault(zones.getTimeZone("GMT+02:00"))
    out = scratch / "zone.orc"
    spark.sql("SELECT 1 AS id, TIMESTAMP'2024-02-29 10:11:12.5' AS at").coalesce(1).write.orc(str(out))
    zones.setDefault(before)
    (folder / "zone.orc").write_bytes(next(out.glob("part-*")).read_bytes())


def main():
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    answers = []
    with tempfile.TemporaryDirectory() as scratch:
        if sys.argv[1:] != ["folders"]:
            blocks(spark, pathlib.Path(scratch))
        if sys.argv[1:] == ["blocks"]:
            return
        folders(spark, pathlib.Path(scratch) / "folders")
        if sys.argv[1:] == ["folders"]:
            return
        cases = itertools.chain(csv_cases(), json_cases(), write_cases())
        for number, case in enumerate(cases):
            answer(spark, case, pathlib.Path(scratch) / str(number))
            answers.append(json.dumps(case, ensure_ascii=True))
    (HERE / "formats.jsonl").write_text("".join(f"{line}\n" for line in answers))
    print(f"formats: {len(answers)} cases")
    spark.stop()


if __name__ == "__main__":
    sys.exit(main())
