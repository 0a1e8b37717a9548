"""Trains a model of fraud: features from answered.jsonl, which the job has written; the truth from history.jsonl.

    train.py [VERSION]        writes models/fraud.onnx
"""

import json
import os
import sys

import numpy as np
from lightgbm import LGBMClassifier
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

VERSION = sys.argv[1] if len(sys.argv) > 1 else "1"


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


# Which transactions were fraud is known later: here history.jsonl says what was planted.
fraud = {one["id"]: "planted" in one for one in lines("history.jsonl")}
answered = lines("answered.jsonl")
# A feature that is NULL is not written. The model takes what is missing as missing.
names = sorted({name for one in answered for name in one["features"]})
x = np.array([[one["features"].get(name, np.nan) for name in names] for one in answered], dtype=np.float32)
y = np.array([int(fraud[one["id"]]) for one in answered])

# They are in the order of time: the last fifth judges what was learned from those before.
cut = len(y) * 4 // 5
model = LGBMClassifier(n_estimators=100, num_leaves=8, random_state=1, n_jobs=1, verbose=-1).fit(x[:cut], y[:cut])
found = model.predict_proba(x[cut:])[:, 1] >= 0.5
true = found & (y[cut:] == 1)
print(f"version {VERSION}: precision {true.sum() / found.sum():.3f}, recall {true.sum() / y[cut:].sum():.3f} "
      f"on {len(y) - cut} transactions that it had not seen")

shape = [("features", FloatTensorType([None, len(names)]))]
exported = convert_lightgbm(model, name="fraud", initial_types=shape, target_opset=15, zipmap=False)
for key, value in {"feature_names": json.dumps(names), "name": "fraud", "version": VERSION}.items():
    entry = exported.metadata_props.add()
    entry.key, entry.value = key, value
# In its place at once: a job that runs takes it from there.
with open("models/fraud.onnx.new", "wb") as file:
    file.write(exported.SerializeToString())
os.replace("models/fraud.onnx.new", "models/fraud.onnx")
