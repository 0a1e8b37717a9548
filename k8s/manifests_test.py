"""Plants faults into the rendered manifests and expects the rule that finds each."""

import copy
import shutil
import tempfile
import unittest
from pathlib import Path

import manifests


def workload(documents):
    return manifests.of_kind(documents, "StatefulSet")[0]


def pod(documents):
    return workload(documents)["spec"]["template"]["spec"]


def container(documents):
    return pod(documents)["containers"][0]


def service(documents):
    return manifests.of_kind(documents, "Service")[0]


def config(documents):
    return manifests.of_kind(documents, "ConfigMap")[0]


def role(documents):
    return manifests.of_kind(documents, "Role")[0]


def monitor(documents):
    return manifests.of_kind(documents, "ServiceMonitor")[0]


def edit_job(documents, old, new):
    text = config(documents)["data"]["job.sql"]
    assert old in text, old
    config(documents)["data"]["job.sql"] = text.replace(old, new)


def rename_config(documents, new):
    config(documents)["metadata"]["name"] = new
    next(v for v in pod(documents)["volumes"] if v["name"] == "job")["configMap"]["name"] = new


# What is planted, the rule that must find it, and a part of its sentence.
PLANTED = [
    (lambda d: pod(d).update(terminationGracePeriod=45), manifests.schemas, "terminationGracePeriod"),
    (lambda d: container(d)["livenessProbe"].update(periodSeconds="10"), manifests.schemas, "periodSeconds"),
    (lambda d: workload(d).update(apiVersion="apps/v1beta1"), manifests.schemas, "StatefulSet"),
    (lambda d: monitor(d)["spec"]["endpoints"][0].update(intervall="15s"), manifests.schemas, "intervall"),
    (lambda d: monitor(d)["spec"]["endpoints"][0].update(interval="15 seconds"), manifests.schemas, "15 seconds"),
    (lambda d: workload(d)["spec"].update(replicas=2), manifests.one_process, "replicas"),
    (lambda d: workload(d)["spec"]["selector"]["matchLabels"].update(x="y"), manifests.selectors, "its own pods"),
    (lambda d: service(d)["spec"]["selector"].update(x="y"), manifests.selectors, "does not select the pods"),
    (lambda d: service(d)["spec"].pop("clusterIP"), manifests.selectors, "not headless"),
    (lambda d: service(d)["spec"]["ports"][0].update(targetPort="web"), manifests.selectors, "named web"),
    (lambda d: workload(d)["spec"].update(serviceName="other"), manifests.selectors, "no Service other"),
    (lambda d: monitor(d)["spec"]["endpoints"][0].update(port="metrics"), manifests.selectors, "named metrics"),
    (
        lambda d: monitor(d)["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/instance"),
        manifests.selectors,
        "other instances",
    ),
    (lambda d: pod(d)["securityContext"].update(runAsUser=0), manifests.restricted, "runAsUser"),
    (lambda d: pod(d)["securityContext"].pop("runAsUser"), manifests.restricted, "runAsUser"),
    (lambda d: pod(d)["securityContext"].pop("runAsNonRoot"), manifests.restricted, "runAsNonRoot"),
    (lambda d: pod(d)["securityContext"].pop("fsGroup"), manifests.restricted, "fsGroup"),
    (lambda d: pod(d)["securityContext"].pop("seccompProfile"), manifests.restricted, "seccompProfile"),
    (lambda d: container(d)["securityContext"].pop("capabilities"), manifests.restricted, "capabilities"),
    (lambda d: container(d)["securityContext"].pop("readOnlyRootFilesystem"), manifests.restricted, "root file system"),
    (
        lambda d: container(d)["securityContext"].pop("allowPrivilegeEscalation"),
        manifests.restricted,
        "allowPrivilegeEscalation",
    ),
    (lambda d: pod(d)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), manifests.restricted, "not allowed"),
    (lambda d: container(d).update(image="thalweg:latest"), manifests.images, "latest"),
    (lambda d: container(d).update(image="host:5000/thalweg"), manifests.images, "not pinned"),
    (lambda d: rename_config(d, "thalweg-job"), manifests.job, "no hash"),
    (lambda d: config(d)["metadata"].update(name="thalweg-job-aaaaaaaaaa"), manifests.job, "no mounted ConfigMap"),
    (lambda d: config(d)["metadata"].pop("annotations"), manifests.job, "Flux"),
    (lambda d: edit_job(d, "SET jobName", "-- SET jobName"), manifests.job, "no jobName"),
    (lambda d: edit_job(d, "'/var/lib/thalweg/checkpoints'", "'/tmp/checkpoints'"), manifests.job, "outlives the pod"),
    (lambda d: pod(d).update(terminationGracePeriodSeconds=30), manifests.job, "grace period"),
    (lambda d: container(d)["args"].extend(["--set", "stopTimeout=1 minute"]), manifests.job, "grace period"),
    (lambda d: container(d).update(env=[]), manifests.job, "KAFKA"),
    (lambda d: container(d)["livenessProbe"]["httpGet"].update(path="/ready"), manifests.probes, "livenessProbe"),
    (lambda d: container(d)["readinessProbe"]["httpGet"].update(path="/healthz"), manifests.probes, "readinessProbe"),
    (lambda d: container(d).pop("startupProbe"), manifests.probes, "startupProbe"),
    (lambda d: container(d)["ports"][0].update(containerPort=8080), manifests.probes, "listens on"),
    (lambda d: container(d).update(args=["run", "/etc/thalweg/job.sql"]), manifests.probes, "127.0.0.1"),
]


def claim(documents):
    return manifests.of_kind(documents, "PersistentVolumeClaim")[0]


def budget(documents):
    return manifests.of_kind(documents, "PodDisruptionBudget")[0]


def policy(documents):
    return manifests.of_kind(documents, "NetworkPolicy")[0]


def secret(documents):
    return next(volume["secret"] for volume in pod(documents)["volumes"] if "secret" in volume)


def secret_mount(documents):
    return next(m for m in container(documents)["volumeMounts"] if m["mountPath"].startswith("/run/secrets"))


PLANTED += [
    (lambda d: policy(d)["spec"]["podSelector"]["matchLabels"].update(x="y"), manifests.network, "does not select"),
    (lambda d: policy(d)["spec"]["ingress"][0].pop("from"), manifests.network, "everybody"),
    (lambda d: policy(d)["spec"]["ingress"][0].update(ports=[]), manifests.network, "keeps out"),
    (lambda d: policy(d)["spec"]["egress"].pop(), manifests.network, "9092"),
    (lambda d: policy(d)["spec"]["egress"].pop(0), manifests.network, "port 53"),
    (lambda d: container(d)["resources"]["limits"].update(cpu="1"), manifests.resources, "throttling"),
    (lambda d: container(d)["resources"]["requests"].update(memory="32Mi"), manifests.resources, "measured"),
    (lambda d: container(d)["resources"]["limits"].update(memory="96Mi"), manifests.resources, "no room"),
    (lambda d: container(d)["args"].remove("--hold-on-refusal"), manifests.undoing, "again and again"),
    (lambda d: workload(d)["spec"].pop("podManagementPolicy"), manifests.undoing, "its own repair"),
    (lambda d: container(d)["args"].remove("--token-file"), manifests.tokens, "no token is asked for"),
]

# The same for a pod with Secrets.
PLANTED_SECURED = [
    (lambda d: container(d)["volumeMounts"].remove(secret_mount(d)), manifests.secrets, "no mounted Secret"),
    (lambda d: edit_job(d, "${file:/run/secrets/kafka-login/password}", "${file:/etc/password}"), manifests.secrets, "/etc/password"),
    (lambda d: container(d)["args"].extend(["--token-file", "/run/secrets/http/token"]), manifests.secrets, "http/token"),
    (lambda d: edit_job(d, "/run/secrets/kafka-tls/", "/run/"), manifests.secrets, "no mounted Secret"),
    (lambda d: secret_mount(d).update(readOnly=False), manifests.secrets, "writable"),
    (lambda d: secret_mount(d).update(subPath="ca.crt"), manifests.secrets, "subPath"),
    (lambda d: secret(d).update(defaultMode=0o444), manifests.secrets, "more than the pod's group"),
    (lambda d: d.append({"kind": "Secret", "metadata": {"name": "x"}}), manifests.secrets, "with its content"),
]

# The same for pods that share a job.
PLANTED_MANY = [
    (lambda d: edit_job(d, "SET assignment", "-- SET assignment"), manifests.one_process, "replicas"),
    (lambda d: claim(d)["spec"].update(accessModes=["ReadWriteOnce"]), manifests.one_process, "no volume"),
    (lambda d: claim(d)["spec"].update(accessModes=["ReadWriteOnce"]), manifests.job, "outlives the pod"),
    (lambda d: container(d)["args"].extend(["--member", "a"]), manifests.one_process, "one name"),
    (lambda d: budget(d)["spec"].update(maxUnavailable=3), manifests.one_process, "at once"),
    (lambda d: budget(d)["spec"].update(maxUnavailable=0), manifests.one_process, "at once"),
    (lambda d: budget(d)["spec"]["selector"]["matchLabels"].update(x="y"), manifests.one_process, "0 disruption"),
    (lambda d: budget(d)["spec"].pop("unhealthyPodEvictionPolicy"), manifests.one_process, "could not be drained"),
    (lambda d: pod(d).pop("topologySpreadConstraints"), manifests.one_process, "one machine"),
    (lambda d: container(d).pop("lifecycle"), manifests.one_process, "keeps its partitions"),
    (lambda d: container(d).pop("lifecycle"), manifests.restricted, "nothing uses it"),
    (lambda d: pod(d).update(serviceAccountName="default"), manifests.one_process, "may not look"),
    (lambda d: role(d)["rules"][0].update(verbs=["*"]), manifests.one_process, "may do more"),
    (lambda d: pod(d).update(automountServiceAccountToken=False), manifests.one_process, "no token"),
    (lambda d: container(d)["lifecycle"]["preStop"]["exec"]["command"].pop(), manifests.tokens, "sends no token"),
]


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.one, cls.many = manifests.render("overlays/one"), manifests.render("overlays/many")
        cls.secured = manifests.render("overlays/tls")

    def test_every_planted_fault_is_found(self):
        planted = [(self.one, *fault) for fault in PLANTED] + [(self.many, *fault) for fault in PLANTED_MANY]
        planted += [(self.secured, *fault) for fault in PLANTED_SECURED]
        for number, (rendered, plant, rule, part) in enumerate(planted):
            with self.subTest(number=number, part=part):
                self.assertEqual(list(rule(rendered)), [])
                documents = copy.deepcopy(rendered)
                plant(documents)
                faults = list(rule(documents))
                self.assertTrue(any(part in fault for fault in faults), f"{part!r} not in {faults}")

    def test_a_copy_of_another_name_may_still_leave(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(manifests.HERE, Path(folder, "k8s"))
            mine = Path(folder, "k8s", "overlays", "many", "kustomization.yaml")
            mine.write_text(mine.read_text().replace("card-counts", "mine"))
            rendered = manifests.render(mine.parent)
        self.assertEqual(workload(rendered)["metadata"]["name"], "thalweg-mine")
        self.assertEqual([*manifests.one_process(rendered), *manifests.selectors(rendered)], [])

    def test_a_copy_on_top_with_a_suffix_of_its_own_may_still_leave(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(manifests.HERE, Path(folder, "k8s"))
            mine = Path(folder, "k8s", "overlays", "s3", "kustomization.yaml")
            mine.write_text(mine.read_text() + "\nnameSuffix: -mine\n")
            rendered = manifests.render(mine.parent)
        self.assertEqual(workload(rendered)["metadata"]["name"], "thalweg-card-counts-mine")
        self.assertEqual([*manifests.one_process(rendered), *manifests.selectors(rendered)], [])

    def test_durations_are_read_as_the_job_file_writes_them(self):
        self.assertEqual([manifests.seconds(d) for d in ("30 seconds", "500 ms", "2 minutes", "45s")], [30, 0.5, 120, 45])


if __name__ == "__main__":
    unittest.main()
