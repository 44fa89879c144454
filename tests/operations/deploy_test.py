"""Checks packaging/docker with Docker Compose, and packaging/helm with Helm and the schemas of Kubernetes. Starts no container.

Docker Compose, Helm and the schemas come from PyPI, see requirements.txt. See run.sh.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import helm_python as helm
import kubernetes_validate
import yaml
from program import PROGRAM, ROOT

DOCKER = os.path.join(ROOT, "packaging", "docker")
CHART = os.path.join(ROOT, "packaging", "helm", "runyard")
COMPOSE = os.path.join(os.path.dirname(sys.executable), "docker-compose")
# The oldest version with all fields of the chart by default, and the newest version with a schema.
KUBERNETES = ("1.33", "1.37")
DEADLINE = 120
VALUES = {
    "SQLite": {},
    "PostgreSQL, two replicas": {
        "replicas": 2,
        "database": {"existingSecret": "runyard-database"},
        "existingSecret": "runyard-secrets",
        "persistence": {"accessModes": ["ReadWriteMany"], "storageClass": "shared"},
    },
    "every option": {
        "image": {"repository": "registry.example/runyard", "tag": "1", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "database": {"existingSecret": "database", "key": "url", "connections": 8},
        "existingSecret": "secrets",
        "env": {"RUNYARD_LIMITS": "off", "RUNYARD_LOG": "info"},
        "config": '[http]\ntrusted_proxies = ["10.0.0.0/8"]\n',
        "persistence": {"existingClaim": "files"},
        "service": {"type": "LoadBalancer", "port": 80, "annotations": {"a": "b"}},
        "serviceAccount": {"existing": "account"},
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "agents", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
    "without user namespaces": {
        "hostUsers": True,
        "securityContext": {
            "privileged": True, "procMount": None, "capabilities": None, "allowPrivilegeEscalation": None,
        },
    },
}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def documented_variables():
    """Returns the names of all environment variables that docs/ and the program's help mention."""
    text = "".join(read("docs", name) for name in ("configuration.md", "install.md", "models.md"))
    return set(re.findall(r"RUNYARD_[A-Z_]+", text)) | {"RUNYARD_CONFIG", "RUNYARD_LOG"}


def render(values):
    """Renders the chart. Returns its objects by kind."""
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(values, name="runyard", namespace="agents")
    documents = [document for name, text in texts.items() if name.endswith(".yaml") for document in yaml.safe_load_all(text)]
    return {document["kind"]: document for document in documents if document}


class ComposeTest(unittest.TestCase):
    def compose(self, **variables):
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
        with tempfile.NamedTemporaryFile() as empty:
            command = [COMPOSE, "--env-file", empty.name, "--file", os.path.join(DOCKER, "compose.yaml"), "config", "--format", "json"]
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False)

    def resolved(self, **variables):
        done = self.compose(POSTGRES_PASSWORD="secret", **variables)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_the_file_is_valid(self):
        services = self.resolved()["services"]
        self.assertEqual(set(services), {"runyard", "postgres"})
        self.assertEqual(services["runyard"]["depends_on"]["postgres"]["condition"], "service_healthy")

    def test_a_missing_password_is_refused(self):
        done = self.compose()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("POSTGRES_PASSWORD", done.stderr)

    def test_both_services_use_the_same_password_and_only_loopback_is_published(self):
        services = self.resolved(RUNYARD_PORT="9000")["services"]
        url = services["runyard"]["environment"]["RUNYARD_DATABASE_URL"]
        postgres = services["postgres"]["environment"]
        self.assertEqual(
            url, f"postgres://{postgres['POSTGRES_USER']}:{postgres['POSTGRES_PASSWORD']}@postgres:5432/{postgres['POSTGRES_DB']}"
        )
        published = [(port["host_ip"], port["published"], port["target"]) for port in services["runyard"]["ports"]]
        self.assertEqual(published, [("127.0.0.1", "9000", 8080)])
        self.assertNotIn("ports", services["postgres"])

    def test_the_container_gets_what_the_dockerfile_and_the_sandbox_need(self):
        service = self.resolved()["services"]["runyard"]
        dockerfile = read("Dockerfile")
        mounts = {mount["target"] for mount in service["volumes"]}
        self.assertIn(re.search(r"RUNYARD_DATA_DIR=(\S+)", dockerfile)[1], mounts)
        self.assertIn(service["environment"]["RUNYARD_CONFIG"], mounts)
        options = re.search(r"docker run (--security-opt .*?) …", dockerfile)[1].split("--security-opt ")
        for option in filter(None, map(str.strip, options)):
            self.assertIn(option, service["security_opt"])
        self.assertTrue(os.path.samefile(service["build"]["context"], ROOT))

    def test_the_configuration_trusts_the_gateway_of_the_network(self):
        network = self.resolved()["networks"]["default"]["ipam"]["config"][0]
        self.assertIn(f'trusted_proxies = ["{network["gateway"]}"]', read("packaging", "docker", "runyard.toml"))

    def test_every_variable_is_documented(self):
        names = self.resolved()["services"]["runyard"]["environment"]
        self.assertLessEqual({name for name in names if name.startswith("RUNYARD_")}, documented_variables())


class ConfigurationTest(unittest.TestCase):
    """The program accepts the configuration files of both packages."""

    def doctor(self, text, **variables):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "runyard.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            environment = {"PATH": os.environ["PATH"], "RUNYARD_CONFIG": path, "RUNYARD_DATA_DIR": folder, **variables}
            done = subprocess.run(
                [PROGRAM, "doctor", "--json"], env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
            )
            return done.stdout + done.stderr

    def test_the_program_reads_the_files(self):
        # Compose passes variables that are not set as empty variables.
        empty = {f"RUNYARD_OPENAI_{name}": "" for name in ("BASE_URL", "API_KEY", "MODEL")} | {"RUNYARD_METRICS_TOKEN": ""}
        chart = yaml.safe_load(read("packaging", "helm", "runyard", "values.yaml"))["config"]
        for text in (read("packaging", "docker", "runyard.toml"), chart):
            said = self.doctor(text, **empty)
            self.assertIn('{"name":"configuration","verdict":"ok"', said)
        self.assertIn("nosuch", self.doctor("nosuch = 1\n"))


class HelmTest(unittest.TestCase):
    def test_the_chart_passes_lint(self):
        result = helm.lint(CHART)
        self.assertEqual(result["total_charts_linted"], 1)
        self.assertEqual(result["errors"], [])
        # Severity 1 is information: the chart has no icon.
        self.assertEqual([message for message in result["messages"] if message["severity"] > 1], [])

    def test_every_object_matches_the_schemas_of_kubernetes(self):
        for name, values in VALUES.items():
            for version in KUBERNETES:
                objects = render(values)
                self.assertLessEqual({"Deployment", "Service", "ConfigMap"}, set(objects))
                for kind, document in objects.items():
                    with self.subTest(values=name, version=version, kind=kind):
                        kubernetes_validate.validate(document, version, strict=True)

    def test_the_schemas_refuse_an_unknown_field(self):
        document = render({})["Deployment"]
        document["spec"]["template"]["spec"]["containers"][0]["nosuch"] = 1
        for version in KUBERNETES:
            with self.assertRaises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(document, version, strict=True)

    def test_unsafe_and_misspelled_values_are_refused(self):
        database = {"database": {"existingSecret": "database"}}
        for values, reason in (
            ({"replicas": 2}, "needs PostgreSQL"),
            ({"replicas": 2, **database}, "ReadWriteMany"),
            ({"replica": 2}, "replica"),
            ({"persistence": {"size": "much"}}, "size"),
        ):
            with self.subTest(values=values), self.assertRaisesRegex(helm.HelmError, reason):
                render(values)

    def test_the_pod_matches_the_image_and_lets_the_sandbox_work(self):
        dockerfile = read("Dockerfile")
        user = int(re.search(r"^USER (\d+):", dockerfile, re.MULTILINE)[1])
        pod = render({})["Deployment"]["spec"]["template"]["spec"]
        container = pod["containers"][0]
        self.assertEqual([pod["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")], [user] * 3)
        self.assertFalse(pod["hostUsers"])
        self.assertEqual(container["securityContext"]["procMount"], "Unmasked")
        self.assertEqual(container["securityContext"]["seccompProfile"], {"type": "Unconfined"})
        self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})
        self.assertEqual(container["ports"][0]["containerPort"], int(re.search(r"^EXPOSE (\d+)", dockerfile, re.MULTILINE)[1]))
        folder = re.search(r"RUNYARD_DATA_DIR=(\S+)", dockerfile)[1]
        self.assertIn(folder, [mount["mountPath"] for mount in container["volumeMounts"]])

    def test_secrets_are_references(self):
        container = render(VALUES["every option"])["Deployment"]["spec"]["template"]["spec"]["containers"][0]
        url = next(entry for entry in container["env"] if entry["name"] == "RUNYARD_DATABASE_URL")
        self.assertEqual(url["valueFrom"]["secretKeyRef"], {"name": "database", "key": "url"})
        self.assertEqual(container["envFrom"], [{"secretRef": {"name": "secrets"}}])

    def test_every_variable_is_documented(self):
        texts = read("packaging", "helm", "runyard", "values.yaml"), read("packaging", "helm", "runyard", "README.md")
        names = {name for text in texts for name in re.findall(r"RUNYARD_[A-Z_]+", text)}
        for values in VALUES.values():
            container = render(values)["Deployment"]["spec"]["template"]["spec"]["containers"][0]
            names |= {entry["name"] for entry in container["env"]}
        self.assertGreater(len(names), 4)
        self.assertLessEqual(names, documented_variables())

    def test_the_chart_has_the_version_of_the_program(self):
        version = re.search(r'^version = "(.*)"', read("Cargo.toml"), re.MULTILINE)[1]
        chart = yaml.safe_load(read("packaging", "helm", "runyard", "Chart.yaml"))
        self.assertEqual(chart["appVersion"], version)
