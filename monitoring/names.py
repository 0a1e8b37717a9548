"""Checks the names in alerts and dashboard, without anything that runs.

    monitoring/names.py PROMTOOL

- every metric that an alert or a panel asks for is in docs/metrics.md, and is asked as its type allows: rate and increase of
  counters, histogram_quantile of buckets;
- every alert has a test that it fires, one that it is silent, and a section of docs/runbooks.md; every section is of an alert;
- every expression of the dashboard is one that Prometheus can read; no two panels lie over each other.

Exit 1 when anything is wrong, with one line per fault.
"""

import itertools
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"


def documented():
    """Each metric of docs/metrics.md and its type."""
    return dict(re.findall(r"^\| `(thalweg_\w+)` \| (\w+) \|", (DOCS / "metrics.md").read_text(), re.M))


def alerts():
    """Each alert of the rules: its name, its expression, where it leads."""
    for block in re.split(r"^ +- alert: ", (HERE / "rules.yml").read_text(), flags=re.M)[1:]:
        name = block.split("\n", 1)[0]
        expression = re.search(r"^ +expr: (?:>-\n)?(.*?)^ +(?:for|labels):", block, re.M | re.S).group(1)
        yield name, " ".join(expression.split()), re.search(r"runbook: docs/(\S+)", block).group(1)


def dashboard():
    return json.loads((HERE / "dashboard.json").read_text())


def expressions():
    """Each expression of the dashboard and the panel it stands in."""
    shown = dashboard()
    for panel in shown["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in shown["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]


def plain(expression):
    """An expression with the dashboard's variables filled in."""
    return expression.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$query", ".*")


def misuse(where, expression):
    known = documented()
    for name in re.findall(r"\bthalweg_\w+", expression):
        family = name if name in known else re.sub(r"_(bucket|sum|count)$", "", name)
        if family not in known:
            yield f"{where}: {name} is not in docs/metrics.md"
            continue
        kind = known[family]
        if (family != name) != (kind == "histogram"):
            yield f"{where}: {name} is asked for, and {family} is a {kind}"
        called = set(re.findall(rf"(\w+)\({name}\b[^()]*\[", expression))
        if kind == "gauge" and called & {"rate", "increase"}:
            yield f"{where}: the rate of {name}, which is a gauge"
        if kind != "gauge" and not called & {"rate", "increase", "changes"}:
            yield f"{where}: {name} only ever grows, and no rate of it is asked for"


def tests():
    text = (HERE / "rules_test.yml").read_text()
    silent = set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", text))
    fires = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", text))
    for name, _, _ in alerts():
        if name not in silent:
            yield f"rules_test.yml: nothing says that {name} is silent on a job that is well"
        if name not in fires:
            yield f"rules_test.yml: nothing says that {name} fires"


def runbooks():
    text = (DOCS / "runbooks.md").read_text() if (DOCS / "runbooks.md").exists() else ""
    sections = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.*)$", text, re.M)}
    named = set()
    for name, _, runbook in alerts():
        document, _, anchor = runbook.partition("#")
        named.add(anchor)
        if document != "runbooks.md" or anchor not in sections:
            yield f"rules.yml: {name} leads to {runbook}, which is not there"
    for section in sorted(sections - named):
        yield f"docs/runbooks.md: no alert leads to the section {section}"


def readable(promtool):
    rules = [
        {"record": f"try:{number}", "expr": plain(expression)} for number, (_, expression) in enumerate(expressions())
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
        file.flush()
        checked = subprocess.run([promtool, "check", "rules", file.name], capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        yield f"dashboard.json: {checked.stderr or checked.stdout}"


def layout():
    panels = dashboard()["panels"]
    if len({panel["id"] for panel in panels}) != len(panels):
        yield "dashboard.json: two panels have one id"

    def apart(one, other):
        return (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )

    for one, other in itertools.combinations(panels, 2):
        if not apart(one["gridPos"], other["gridPos"]):
            yield f"dashboard.json: `{one['title']}` lies over `{other['title']}`"
    for panel in panels:
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
            yield f"dashboard.json: `{panel['title']}` is too wide"


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    asked = [(f"rules.yml: {name}", expression) for name, expression, _ in alerts()]
    asked += [(f"dashboard.json: {title}", expression) for title, expression in expressions()]
    faults = [fault for where, expression in asked for fault in misuse(where, expression)]
    faults += [*tests(), *runbooks(), *readable(sys.argv[1]), *layout()]
    for fault in faults:
        print(f"FAULT: {fault}")
    print(f"monitoring: {len(list(alerts()))} alerts, {len(list(expressions()))} expressions, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
