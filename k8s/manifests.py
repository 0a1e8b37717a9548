"""Checks the rendered manifests: schemas, the rules that no schema knows, and the pod's own process.

Each rule is a function that yields one sentence per fault. Exit 1 when there is any fault.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

import running

HERE = Path(__file__).resolve().parent
KUBERNETES = "1.37"
RENDERED = [
    "base",
    "base with service-monitor",
    *(f"overlays/{folder.name}" for folder in sorted((HERE / "overlays").iterdir())),
    "tools",
    *(f"overlays/{path.parent.name}/tools" for path in sorted((HERE / "overlays").glob("*/tools"))),
]

# The part of a ServiceMonitor that is used here, strictly: the operator's own schema lets unknown fields pass.
DURATION = {"type": "string", "pattern": r"^(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$", "minLength": 2}
SERVICE_MONITOR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "ServiceMonitor"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["selector", "endpoints"],
            "properties": {
                "selector": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["matchLabels"],
                    "properties": {
                        "matchLabels": {
                            "type": "object",
                            "minProperties": 1,
                            "additionalProperties": {"type": "string"},
                        }
                    },
                },
                "endpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["port", "path"],
                        "properties": {
                            "port": {"type": "string"},
                            "path": {"type": "string"},
                            "interval": DURATION,
                            "scrapeTimeout": DURATION,
                        },
                    },
                },
            },
        },
    },
}


def render(what):
    """The documents that kustomize makes."""
    tool = ["kubectl", "kustomize"] if shutil.which("kubectl") else ["kustomize", "build"]
    with tempfile.TemporaryDirectory() as folder:
        place = HERE / what
        if what == "base with service-monitor":
            shutil.copytree(HERE, Path(folder, "k8s"))
            place = Path(folder, "k8s", "monitored")
            place.mkdir()
            Path(place, "kustomization.yaml").write_text(
                "resources: [../base]\ncomponents: [../components/service-monitor]\n"
            )
        made = subprocess.run([*tool, str(place)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise SystemExit(f"{what}: {made.stderr.strip()}")
    return [document for document in yaml.safe_load_all(made.stdout) if document]


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def name(document):
    return f"{document['kind']} {document['metadata'].get('name')}"


def schemas(documents):
    for document in documents:
        if document["kind"] == "ServiceMonitor":
            checker = jsonschema.Draft202012Validator(SERVICE_MONITOR)
            for error in checker.iter_errors(document):
                yield f"{name(document)}: {'.'.join(map(str, error.path))}: {error.message}"
            continue
        try:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{name(document)}: {'.'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError:
            yield f"{name(document)}: Kubernetes {KUBERNETES} has no {document['apiVersion']}"


def is_part(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def selectors(documents):
    services = of_kind(documents, "Service")
    for workload in of_kind(documents, "StatefulSet"):
        labels = workload["spec"]["template"]["metadata"].get("labels", {})
        if not is_part(workload["spec"]["selector"].get("matchLabels"), labels):
            yield f"{name(workload)} does not select its own pods"
        governing = [s for s in services if s["metadata"]["name"] == workload["spec"]["serviceName"]]
        if not governing:
            yield f"{name(workload)}: there is no Service {workload['spec']['serviceName']}"
        for service in governing:
            if service["spec"].get("clusterIP") != "None":
                yield f"{name(service)} governs a StatefulSet and is not headless"
            if not is_part(service["spec"].get("selector"), labels):
                yield f"{name(service)} does not select the pods of {name(workload)}"
            known = {
                port["name"]
                for container in workload["spec"]["template"]["spec"]["containers"]
                for port in container.get("ports", [])
            }
            for port in service["spec"]["ports"]:
                if port.get("targetPort") not in known:
                    yield f"{name(service)}: no container has a port named {port.get('targetPort')}"
    for monitor in of_kind(documents, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"].get("matchLabels")
        found = [s for s in services if is_part(wanted, s["metadata"].get("labels", {}))]
        if len(found) != 1:
            yield f"{name(monitor)} selects {len(found)} services"
        ports = {port["name"] for service in found for port in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint.get("port") not in ports:
                yield f"{name(monitor)}: no service has a port named {endpoint.get('port')}"
            if endpoint.get("path") != "/metrics":
                yield f"{name(monitor)} does not scrape /metrics"
        instance = {"app.kubernetes.io/instance"} & set(monitor["metadata"].get("labels", {}))
        if instance - set(wanted or {}):
            yield f"{name(monitor)} would also select the services of other instances"


def jobs(documents):
    """Of each StatefulSet its pod template's spec and its only container."""
    for workload in of_kind(documents, "StatefulSet"):
        spec = workload["spec"]["template"]["spec"]
        if len(spec["containers"]) == 1:
            yield workload, spec, spec["containers"][0]


def pods(documents):
    """The jobs, and pods that stand alone."""
    yield from jobs(documents)
    for pod in of_kind(documents, "Pod"):
        yield from ((pod, pod["spec"], container) for container in pod["spec"]["containers"])


def one_process(documents):
    workloads = of_kind(documents, "StatefulSet")
    if len(workloads) != 1 or len(list(jobs(documents))) != 1:
        yield "there must be one StatefulSet of one container"
    for workload, spec, container in jobs(documents):
        replicas = workload["spec"].get("replicas")
        text, _ = job_text(documents, container, spec)
        shared = text is not None and settings(text, container["args"]).get("assignment") == "group"
        if not shared and replicas != 1:
            yield f"{name(workload)}: one process runs this job, so replicas must be 1"
        if shared:
            yield from members(documents, workload, spec, container)


def shared_claims(documents, spec):
    """Volumes of a pod that pods on other machines may write, too."""
    modes = {
        claim["metadata"]["name"]: claim["spec"]["accessModes"]
        for claim in of_kind(documents, "PersistentVolumeClaim")
    }
    for volume in spec.get("volumes", []):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if modes.get(claim) == ["ReadWriteMany"]:
            yield volume["name"]


def is_remote(location):
    """Whether checkpoints lie in an object store, which all pods reach and which outlives them."""
    return location.startswith(("s3://", "gs://", "az://"))


def leaves(container):
    """Whether a pod asks its cluster, before it is stopped, if it goes for good."""
    hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    return "--if-scaled-down" in hook


def leaving(documents, workload, spec, container):
    """What a pod needs that asks: an account that may look at its StatefulSet and at nothing else."""
    account = spec.get("serviceAccountName")
    bound = {
        binding["roleRef"]["name"]
        for binding in of_kind(documents, "RoleBinding")
        for subject in binding["subjects"]
        if (subject["kind"], subject["name"]) == ("ServiceAccount", account)
    }
    rules = [
        (rule["apiGroups"], rule["resources"], rule.get("resourceNames"), rule["verbs"])
        for role in of_kind(documents, "Role")
        if role["metadata"]["name"] in bound
        for rule in role["rules"]
    ]
    if rules != [(["apps"], ["statefulsets"], [workload["metadata"]["name"]], ["get"])]:
        yield f"{name(workload)}: its account may not look at the StatefulSet, or may do more"
    if not of_kind(documents, "ServiceAccount") or spec.get("automountServiceAccountToken") is not True:
        yield f"{name(workload)}: it has no token to ask the cluster with"


def members(documents, workload, spec, container):
    """What processes need that share a job."""
    spread = spec.get("topologySpreadConstraints", [])
    own = workload["spec"]["template"]["metadata"].get("labels", {})
    if not any(is_part(each.get("labelSelector", {}).get("matchLabels"), own) for each in spread):
        yield f"{name(workload)}: its pods may all be on one machine"
    text, _ = job_text(documents, container, spec)
    remote = is_remote(settings(text, container["args"]).get("checkpointLocation", ""))
    if not remote and not list(shared_claims(documents, spec)):
        yield f"{name(workload)}: processes share the job, and no volume that all pods may write"
    if leaves(container):
        yield from leaving(documents, workload, spec, container)
    else:
        yield f"{name(workload)}: a pod that goes for good keeps its partitions until its session ends"
    if "--member" in container["args"]:
        yield f"{name(workload)}: all pods would have one name; without --member each has its pod's"
    budgets = of_kind(documents, "PodDisruptionBudget")
    labels = workload["spec"]["template"]["metadata"].get("labels", {})
    of_it = [b for b in budgets if is_part(b["spec"]["selector"].get("matchLabels"), labels)]
    if len(of_it) != 1:
        yield f"{name(workload)} has {len(of_it)} disruption budgets"
    for budget in of_it:
        at_once = budget["spec"].get("maxUnavailable")
        if not isinstance(at_once, int) or not 0 < at_once < workload["spec"]["replicas"]:
            yield f"{name(budget)} lets all pods go at once, or none"
        if budget["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield f"{name(budget)}: pods that are not ready, as all are without their broker, could not be drained"


def restricted(documents):
    """Pod Security, level restricted."""
    for workload, spec, container in pods(documents):
        pod, own = spec.get("securityContext", {}), container.get("securityContext", {})
        rules = {
            "runAsNonRoot is not true": pod.get("runAsNonRoot") is not True,
            "runAsUser is no number above 0": not (isinstance(pod.get("runAsUser"), int) and pod["runAsUser"] > 0),
            "fsGroup is missing: the volume would not be writable": not pod.get("fsGroup"),
            "seccompProfile is not RuntimeDefault": pod.get("seccompProfile", {}).get("type") != "RuntimeDefault",
            "allowPrivilegeEscalation is not false": own.get("allowPrivilegeEscalation") is not False,
            "the root file system is writable": own.get("readOnlyRootFilesystem") is not True,
            "capabilities are not all dropped": own.get("capabilities") != {"drop": ["ALL"]},
            "a privileged container": own.get("privileged", False),
            "the host's namespaces are used": any(spec.get(k) for k in ("hostNetwork", "hostPID", "hostIPC")),
            "a service account's token is mounted, and nothing uses it": spec.get("automountServiceAccountToken") is not False
            and not leaves(container),
        }
        for volume in spec.get("volumes", []):
            if not set(volume) & {"configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim"}:
                yield f"{name(workload)}: a volume of a kind that is not allowed: {volume}"
        for fault, found in rules.items():
            if found:
                yield f"{name(workload)}: {fault}"


def images(documents):
    for workload, _, container in pods(documents):
        image = container["image"]
        _, colon, tag = image.rpartition("/")[2].partition(":")
        if "@sha256:" not in image and (not colon or tag == "latest"):
            yield f"{name(workload)}: the image {image} is not pinned to a version"
    version = re.search(r'^version = "(.*)"', (HERE.parent / "Cargo.toml").read_text(), re.M)
    for part in ("base", "tools"):
        named = yaml.safe_load((HERE / part / "kustomization.yaml").read_text()).get("images", [])
        if not version or [image.get("newTag") for image in named] != [version.group(1)]:
            yield f"{part} does not name the image of the version in Cargo.toml"


def volumes(documents, job):
    """The pod for checkpoints by hand has a volume of the job beside it, and stands where the job's does."""
    claims = {claim["metadata"]["name"] for claim in of_kind(job, "PersistentVolumeClaim")}
    for workload in of_kind(job, "StatefulSet"):
        for claim in workload["spec"].get("volumeClaimTemplates", []):
            claims.add(f"{claim['metadata']['name']}-{workload['metadata']['name']}-0")
    spaces = {workload["metadata"].get("namespace") for workload in of_kind(job, "StatefulSet")}
    for pod in of_kind(documents, "Pod"):
        for volume in pod["spec"].get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in claims:
                yield f"{name(pod)}: {claim} is no volume of the job, which has {sorted(claims)}"
        if pod["metadata"].get("namespace") not in spaces:
            yield f"{name(pod)}: it does not stand in the job's namespace"


def job_text(documents, container, spec):
    """The job file as the container sees it, and its path there."""
    arguments = container["args"]
    if arguments[:1] != ["run"]:
        raise SystemExit(f"the container does not run a job: {arguments}")
    path = Path(arguments[1])
    for mount in container.get("volumeMounts", []):
        for volume in spec.get("volumes", []):
            if volume["name"] != mount["name"] or "configMap" not in volume:
                continue
            for config in of_kind(documents, "ConfigMap"):
                if config["metadata"]["name"] == volume["configMap"]["name"] and str(path.parent) == mount["mountPath"]:
                    return config["data"].get(path.name), config
    return None, None


def settings(text, arguments):
    """SET of the job file, and --set of the command line over it."""
    found = dict(re.findall(r"^SET\s+(\w+)\s*=\s*'?([^';]*)'?\s*;", text, re.M))
    for flag, value in itertools.pairwise(arguments):
        if flag == "--set":
            key, _, value = value.partition("=")
            found[key] = value
    return found


def seconds(duration):
    number, unit = re.fullmatch(r"(\d+)\s*(ms|\w*?)s?", duration.strip()).groups()
    return int(number) * {"ms": 0.001, "second": 1, "": 1, "minute": 60, "min": 60, "hour": 3600}[unit]


def job(documents):
    for workload, spec, container in jobs(documents):
        text, config = job_text(documents, container, spec)
        if text is None:
            yield f"{name(workload)}: its job file is in no mounted ConfigMap"
            continue
        if not re.search(r"-[a-z0-9]{10}$", config["metadata"]["name"]):
            yield f"{name(config)} has no hash: a changed job would not start a new pod"
        if config["metadata"].get("annotations", {}).get("kustomize.toolkit.fluxcd.io/substitute") != "disabled":
            yield f"{name(config)}: Flux would substitute the ${{...}} of the job"
        given = settings(text, container["args"])
        if "jobName" not in given:
            yield f"{name(config)}: the job has no jobName, so renaming its file would give it another identity"
        claims = [claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])]
        claims += shared_claims(documents, spec)
        durable = [m["mountPath"] for m in container.get("volumeMounts", []) if m["name"] in claims]
        location = given.get("checkpointLocation", "")
        if not is_remote(location) and not any(location.startswith(mount + "/") for mount in durable):
            yield f"{name(config)}: checkpointLocation '{location}' is on no volume that outlives the pod"
        stop = seconds(given.get("stopTimeout", "30 seconds"))
        if spec.get("terminationGracePeriodSeconds", 30) < stop + 10:
            yield f"{name(workload)}: the grace period leaves no 10 s beyond stopTimeout ({stop:.0f} s)"
        known = {variable["name"] for variable in container.get("env", [])}
        for variable in re.findall(r"\$\{(\w+)\}", text):
            if variable not in known:
                yield f"{name(workload)}: the job needs the variable {variable}, which the container has not"


def probes(documents):
    wanted = {"startupProbe": "/live", "livenessProbe": "/live", "readinessProbe": "/ready"}
    for workload, _, container in jobs(documents):
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        for probe, path in wanted.items():
            asked = container.get(probe, {}).get("httpGet", {})
            if asked.get("path") != path or asked.get("port") not in ports:
                yield f"{name(workload)}: {probe} does not ask {path} at a port of the container"
        address = dict(itertools.pairwise(container["args"])).get("--http", "127.0.0.1:9464")
        if address not in {f"0.0.0.0:{port}" for port in ports.values()}:
            yield f"{name(workload)}: the process listens on {address}, which the probes do not reach"


def mounted(documents, workload, spec, container):
    """Where files of Secrets lie in the container: mount path to the volume's Secret."""
    for mount in container.get("volumeMounts", []):
        for volume in spec.get("volumes", []):
            if volume["name"] == mount["name"] and "secret" in volume:
                yield mount, volume["secret"]


def file_names(text, arguments):
    """Files that the job and its command line name: secrets, certificates, tokens."""
    yield from re.findall(r"\$\{file:([^}]+)\}", text)
    yield from re.findall(r"kafka\.ssl\.\w+\.location\s+'([^'$]+)'", text)
    for flag, value in itertools.pairwise(arguments):
        if flag.endswith("-file"):
            yield value


def secrets(documents):
    for workload, spec, container in jobs(documents):
        text, _ = job_text(documents, container, spec)
        mounts = list(mounted(documents, workload, spec, container))
        paths = sorted(set(file_names(text or "", container["args"])))
        for path in paths:
            folder = str(Path(path).parent)
            if not any(mount["mountPath"] == folder for mount, _ in mounts):
                yield f"{name(workload)}: {path} lies in no mounted Secret"
        for mount, secret in mounts:
            if not any(str(Path(path).parent) == mount["mountPath"] for path in paths):
                yield f"{name(workload)}: nothing reads the Secret {secret['secretName']} at {mount['mountPath']}"
            if mount.get("subPath") or not mount.get("readOnly"):
                yield f"{name(workload)}: {mount['mountPath']} is writable, or a subPath, whose files never change"
            if secret.get("defaultMode", 0o644) & 0o037:
                yield f"{name(workload)}: the Secret {secret['secretName']} may be read by more than the pod's group"
    if of_kind(documents, "Secret"):
        yield "a Secret with its content is among the manifests"


def tokens(documents):
    """What others in the cluster reach asks for a token, except in the base, which has no Secret."""
    for workload, spec, container in jobs(documents):
        arguments = container["args"]
        address = arguments[arguments.index("--http") + 1] if "--http" in arguments else "127.0.0.1"
        if "--token-file" not in arguments and not address.startswith(("127.0.0.1:", "off")):
            yield f"{name(workload)}: everybody who reaches {address} sees the job, and no token is asked for"
        if "--token-file" in arguments and leaves(container):
            hook = container["lifecycle"]["preStop"]["exec"]["command"]
            if arguments[arguments.index("--token-file") + 1] not in hook:
                yield f"{name(workload)}: the pod that leaves sends no token, so its change is refused"


def network(documents):
    """Where there is a policy, it lets in who scrapes and out who is asked."""
    for policy in of_kind(documents, "NetworkPolicy"):
        spec = policy["spec"]
        for workload, _, container in jobs(documents):
            labels = workload["spec"]["template"]["metadata"].get("labels", {})
            if not is_part(spec["podSelector"].get("matchLabels"), labels):
                yield f"{name(policy)} does not select the pods of {name(workload)}"
            served = {port["name"] for port in container.get("ports", [])}
            ways_in = {port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])}
            if not served & ways_in:
                yield f"{name(policy)} keeps out who scrapes {sorted(served)}"
            if any(not rule.get("from") for rule in spec.get("ingress", [])):
                yield f"{name(policy)} lets everybody in"
            ways_out = {port["port"] for rule in spec.get("egress", []) for port in rule.get("ports", [])}
            wanted = {53} | {
                int(address.rpartition(":")[2])
                for variable in container.get("env", [])
                if variable["name"] == "KAFKA"
                for address in variable["value"].split(",")
            }
            for port in sorted(wanted - ways_out):
                yield f"{name(policy)}: no way out to the port {port}"


# What docs/figures.md has of a job without state, at most: its output's broker paused under full load. In MiB.
MEASURED = 58


def megabytes(quantity):
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


def resources(documents):
    for workload, _, container in jobs(documents):
        asked, most = (container.get("resources", {}).get(part, {}) for part in ("requests", "limits"))
        if not asked.get("cpu") or "cpu" in most:
            yield f"{name(workload)}: processors must be asked for and not be limited: throttling is latency"
        if megabytes(asked.get("memory", "0Mi")) < MEASURED:
            yield f"{name(workload)}: a request below the {MEASURED} MiB that were measured"
        if megabytes(most.get("memory", "0Mi")) < 2 * megabytes(asked.get("memory", "0Mi")):
            yield f"{name(workload)}: a memory limit below twice the request leaves state no room to be restored"


def undoing(documents):
    """What lets a broken roll-out be undone by the next one."""
    for workload, _, container in jobs(documents):
        if "--hold-on-refusal" not in container["args"]:
            yield f"{name(workload)}: without --hold-on-refusal a refused job is started again and again"
        if workload["spec"].get("podManagementPolicy") != "Parallel":
            yield f"{name(workload)}: a pod that is never ready would hold up its own repair"


def main():
    binary = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
    pod_rules = [schemas, restricted, images]
    job_rules = [one_process, selectors, job, probes, secrets, network, resources, undoing]
    faults = 0
    for what in RENDERED:
        documents = render(what)
        tools = what.endswith("tools")
        rules = pod_rules if tools else pod_rules + job_rules
        if what.startswith("overlays/") and not tools:
            rules = [*rules, tokens]
        found = [fault for rule in rules for fault in rule(documents)]
        if tools:
            beside = what.removesuffix("tools").rstrip("/") or "base"
            found += volumes(documents, render(beside))
        if binary and not found and not tools:
            found += running.process(documents, binary)
        for fault in found:
            print(f"FAULT: k8s/{what}: {fault}")
        faults += len(found)
        print(f"k8s/{what}: {len(documents)} objects, {len(found)} faults", flush=True)
    if not binary:
        print("the pod's process was not run: give a binary to run it")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
