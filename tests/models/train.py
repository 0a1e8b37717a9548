"""Trains small models of made-up card transactions, writes them as ONNX, and what onnxruntime scores 1,000 rows with."""

import json

import numpy as np
import onnx
import onnxruntime as ort
from lightgbm import LGBMClassifier
from onnx import TensorProto, helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as FloatTensor
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

NAMES = ["amount", "ratio", "count_10m", "count_1h", "sum_1h", "speed_kmh", "age_days", "declines_1h", "night", "rate"]
ROWS = 1_000


def transactions(rows, seed):
    """Features with some `rate` missing, and whether it was fraud."""
    random = np.random.default_rng(seed)
    table = np.column_stack([
        random.lognormal(3.2, 1.1, rows),
        random.lognormal(0.0, 0.8, rows),
        random.poisson(1.2, rows),
        random.poisson(3.0, rows),
        random.lognormal(4.5, 1.0, rows),
        random.exponential(60.0, rows),
        random.uniform(0, 2_000, rows),
        random.poisson(0.3, rows),
        random.integers(0, 2, rows),
        random.beta(1.2, 12.0, rows),
    ])
    table = np.round(table, 4)
    odds = (0.9 * np.log(table[:, 1] + 0.1) + 0.5 * table[:, 2] + 0.012 * table[:, 5] + 0.9 * table[:, 7]
            + 0.6 * table[:, 8] + 6 * table[:, 9] - 0.0007 * table[:, 6] - 4.5)
    fraud = random.uniform(size=rows) < 1 / (1 + np.exp(-odds))
    table[random.uniform(size=rows) < 0.05, 9] = np.nan
    return table.astype(np.float32), fraud.astype(np.int64), table


def named(model):
    """Says what the places of the input are called."""
    entry = model.metadata_props.add()
    entry.key, entry.value = "feature_names", json.dumps(NAMES)
    return model


def scores(path, inputs):
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    last = session.get_outputs()[-1].name
    return [session.run([last], one)[0].reshape(-1)[-1] for one in inputs]


def trained(x, y, amounts):
    """The models with one input of all features."""
    inputs = [("features", FloatTensorType([None, len(NAMES)]))]
    plain = {"zipmap": False}

    def sklearn(name, model, options):
        model.fit(x, amounts if options is None else y)
        extra = {"options": {id(model): options}} if options else {}
        return name, to_onnx(model, initial_types=inputs, target_opset=17, **extra)

    imputed = lambda *steps: make_pipeline(SimpleImputer(), *steps)
    yield sklearn("gradient_boosting", imputed(GradientBoostingClassifier(n_estimators=100, max_depth=4, random_state=1)), plain)
    yield sklearn("logistic", imputed(StandardScaler(), LogisticRegression(max_iter=1_000)), plain)
    yield sklearn("perceptron", imputed(StandardScaler(), MLPClassifier((16, 8), max_iter=400, random_state=1)), plain)
    yield sklearn("regression", imputed(GradientBoostingRegressor(n_estimators=50, max_depth=3, random_state=1)), None)
    shape = [("features", FloatTensor([None, len(NAMES)]))]
    light = LGBMClassifier(n_estimators=100, num_leaves=15, random_state=1, n_jobs=1, verbose=-1).fit(x, y)
    yield "lightgbm", convert_lightgbm(light, initial_types=shape, target_opset=15, zipmap=False)
    boosted = XGBClassifier(n_estimators=100, max_depth=4, random_state=1, n_jobs=1).fit(x, y)
    yield "xgboost", convert_xgboost(boosted, initial_types=shape, target_opset=15)


def mixed(y, random):
    """A model with an input for each feature, of several types."""
    import pandas

    table = pandas.DataFrame({
        "amount": np.round(random.lognormal(3, 1, len(y)), 4).astype(np.float32),
        "visits": random.poisson(3, len(y)).astype(np.int64),
        "channel": random.choice(["web", "shop", "phone"], len(y)),
    })
    columns = ColumnTransformer([("n", StandardScaler(), ["amount", "visits"]), ("c", OneHotEncoder(), ["channel"])])
    model = make_pipeline(columns, LogisticRegression()).fit(table, y)
    types = [("amount", FloatTensorType([None, 1])), ("visits", Int64TensorType([None, 1])), ("channel", StringTensorType([None, 1]))]
    return table, to_onnx(model, initial_types=types, target_opset=17, options={id(model): {"zipmap": False}})


def graph(name, nodes, inputs, initializers=(), output="score"):
    score = helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, 1])
    inputs = [helper.make_tensor_value_info(one, TensorProto.FLOAT, [None, 1]) for one in inputs]
    model = helper.make_model(helper.make_graph(nodes, name, inputs, [score], list(initializers)),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def number(name, value):
    return helper.make_tensor(name, TensorProto.FLOAT, [1, 1], [value])


def steady(score, feature="amount", output="score"):
    """Scores everything alike: which version has scored can be seen."""
    nodes = [helper.make_node("Mul", [feature, "zero"], ["none"]), helper.make_node("Add", ["none", "value"], [output])]
    return graph("steady", nodes, [feature], [number("zero", 0.0), number("value", score)], output)


def payments():
    """The model of the example in docs/models.md: what comes from abroad scores half."""
    nodes = [
        helper.make_node("Mul", ["amount", "zero"], ["none"]),
        helper.make_node("Mul", ["abroad", "half"], ["part"]),
        helper.make_node("Add", ["none", "part"], ["score"]),
    ]
    return graph("payments", nodes, ["amount", "abroad"], [number("zero", 0.0), number("half", 0.5)])


def fragile():
    """Fails where the amount is 100 or more: a table of 100 entries is looked up."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [100], [i / 100 for i in range(100)])
    nodes = [helper.make_node("Cast", ["amount"], ["place"], to=TensorProto.INT64), helper.make_node("Gather", ["table", "place"], ["score"])]
    return graph("fragile", nodes, ["amount"], [table])


def unready():
    """Loads, and fails whatever it is asked: what it looks up lies behind the end of its table."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [2], [0.0, 1.0])
    behind = helper.make_tensor("behind", TensorProto.INT64, [1, 1], [100])
    nodes = [
        helper.make_node("Cast", ["amount"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Abs", ["whole"], ["some"]),
        helper.make_node("Add", ["some", "behind"], ["place"]),
        helper.make_node("Gather", ["table", "place"], ["score"]),
    ]
    return graph("unready", nodes, ["amount"], [table, behind])


def slow():
    """Takes as long as `work` says: it multiplies two matrices of that width."""
    width = helper.make_tensor("axes", TensorProto.INT64, [1], [-1])
    nodes = [
        helper.make_node("Cast", ["work"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["whole", "axes"], ["width"]),
        helper.make_node("Concat", ["width", "width"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["matrix"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.5])),
        helper.make_node("MatMul", ["matrix", "matrix"], ["product"]),
        helper.make_node("ReduceSum", ["product"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "zero"], ["none"]),
        helper.make_node("Add", ["none", "amount"], ["score"]),
    ]
    return graph("slow", nodes, ["amount", "work"], [width, number("zero", 0.0)])


def main():
    x, y, _ = transactions(20_000, 7)
    amounts = np.log1p(x[:, 0] * x[:, 1]).astype(np.float32)
    rows, _, table = transactions(ROWS, 8)
    with open("rows.jsonl", "w") as out:
        for row in table:
            out.write(json.dumps({n: None if np.isnan(v) else v for n, v in zip(NAMES, row.tolist())}) + "\n")
    known = {}
    for name, model in trained(x, y, amounts):
        path = f"{name}.onnx"
        onnx.save(named(model), path)
        known[name] = scores(path, [{"features": row[None, :]} for row in rows])
    few, model = mixed(y[:4_000], np.random.default_rng(9))
    onnx.save(model, "mixed.onnx")
    few = few.head(200)
    inputs = [{n: few[n].to_numpy()[i:i + 1, None] for n in few} for i in range(len(few))]
    for one in inputs:
        one["channel"] = one["channel"].astype(object)
    with open("mixed.jsonl", "w") as out:
        for i, score in enumerate(scores("mixed.onnx", inputs)):
            row = {"amount": float(f"{few['amount'][i]:.4f}"), "visits": int(few["visits"][i]), "channel": few["channel"][i]}
            out.write(json.dumps({**row, "expected": float(score)}) + "\n")
    with open("scores.csv", "w") as out:
        out.write(",".join(known) + "\n")
        for line in zip(*known.values()):
            out.write(",".join(f"{score:.9g}" for score in line) + "\n")
    onnx.save(steady(0.25), "steady-1.onnx")
    onnx.save(steady(0.75), "steady-2.onnx")
    onnx.save(steady(0.5, "total"), "other_input.onnx")
    onnx.save(steady(0.5, output="odds"), "other_output.onnx")
    onnx.save(payments(), "payments.onnx")
    onnx.save(fragile(), "fragile.onnx")
    onnx.save(unready(), "unready.onnx")
    onnx.save(slow(), "slow.onnx")


main()
