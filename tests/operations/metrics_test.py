"""Checks packaging/prometheus and packaging/grafana against the metrics of the real program, and tests the rules with promtool.

See run.sh.
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

import yaml
from model import Model
from program import DEADLINE, ROOT, Server

PACKAGING = os.path.join(ROOT, "packaging")
RULES = os.path.join(PACKAGING, "prometheus", "runyard.rules.yml")
DASHBOARD = os.path.join(PACKAGING, "grafana", "runyard.json")
TESTS = os.path.join(ROOT, "tests", "operations", "rules_test.yml")
TOKEN = "the-token-of-prometheus"
# Metrics that appear only after a failure that the test does not cause. The sources of the program must name them.
RARE = {"runyard_database_commit_failures_total"}
# Metrics that the dashboard leaves out.
UNSHOWN = {"process_virtual_memory_bytes", "process_threads", "process_start_time_seconds"}
# Metrics and labels of Prometheus itself.
OF_PROMETHEUS = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
TARGET = {"job", "instance"}
METRIC = re.compile(r"\b(?:runyard|process)_[a-z_]+\b|\bup\b")
PATIENCE = 120


def load_rules():
    with open(RULES, encoding="utf-8") as file:
        return [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]


def dashboard():
    with open(DASHBOARD, encoding="utf-8") as file:
        return json.load(file)


def panel_queries():
    return [(panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def used(query):
    """Returns the labels that a query uses, by metric. Labels outside of selectors count for every metric of the query."""
    selectors = {}
    outside = query
    for name, inner in re.findall(r"(\w+)\{([^}]*)\}", query):
        selectors.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inner))
    outside = re.sub(r"\{[^}]*\}", "", outside)
    groups = {label for text in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", outside) for label in re.findall(r"\w+", text)}
    outside = re.sub(r"\b(?:by|on)\s*\([^)]*\)", "", outside)
    # Only the buckets of histograms have the label `le`.
    of = lambda name: groups if name.endswith("_bucket") else groups - {"le"}
    return {name: selectors.get(name, set()) | of(name) for name in METRIC.findall(outside)}


class Receiver(http.server.BaseHTTPRequestHandler):
    """Accepts every delivery of a webhook."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Silences the log."""


class Exposed:
    """The metrics of a server that has executed runs of every kind: labels by name."""

    def __init__(self):
        model = Model()
        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        configuration = (
            f'limits = "off"\n[auth]\nmetrics_token = "{TOKEN}"\n[webhooks]\nallow_private_addresses = true\n'
            "[sandbox]\nmax_memory_bytes = 134217728\n"
        )
        server = Server(model=model, configuration=configuration)
        try:
            self.cause_everything(server, f"http://127.0.0.1:{receiver.server_port}/")
            self.text = self.scrape_when_complete(server)
        finally:
            server.close()
            receiver.shutdown()
            receiver.server_close()
            model.close()
        self.labels = {}
        for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", self.text, re.MULTILINE):
            self.labels.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))

    def cause_everything(self, server, receiver):
        token = server.token()
        server.http("POST", "/v1/webhooks", token, {"url": receiver, "events": []})
        # Four processes need more memory together than a command may use.
        greedy = "for i in 1 2 3 4; do perl -e '$n = 50_000_000; $x = \"x\" x $n; sleep 30' & done; wait"
        for prompt in (f"bash: {greedy}\nread: nosuch.txt\nsay: Done.", "fail: 401"):
            run = self.start(server, token, prompt)
            request = urllib.request.Request(f"{server.url}/v1/agent-run/{run}/stream")
            request.add_header("authorization", f"Bearer {token}")
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                answer.read()
        # The server repeats the call of this run for minutes, so nothing waits for the run.
        self.start(server, token, "fail: 503")

    @staticmethod
    def start(server, token, prompt):
        return server.http("POST", "/v1/agent/start", token, {"prompt": prompt})["agent_run_id"]

    @staticmethod
    def scrape_when_complete(server):
        """Returns the metrics after a webhook was delivered and a model call was repeated."""
        until = time.monotonic() + PATIENCE
        while True:
            request = urllib.request.Request(f"{server.url}/metrics")
            request.add_header("authorization", f"Bearer {TOKEN}")
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                text = answer.read().decode()
            is_complete = all(name in text for name in ("\nrunyard_webhook_deliveries_total{", "\nrunyard_model_retries_total{"))
            if is_complete or time.monotonic() > until:
                return text
            time.sleep(0.1)


class NamesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.exposed = Exposed()

    def check(self, place, query):
        found = used(query)
        self.assertTrue(found, f"{place} uses no metric: {query}")
        for name, labels in found.items():
            if name in OF_PROMETHEUS:
                self.assertLessEqual(labels, OF_PROMETHEUS[name] | TARGET, place)
                continue
            if name in RARE and name not in self.exposed.labels:
                with open(os.path.join(ROOT, "src", "telemetry", "names.rs"), encoding="utf-8") as names:
                    self.assertIn(f'"{name}"', names.read(), place)
                continue
            self.assertIn(name, self.exposed.labels, f"{place}: the program has no metric {name}")
            self.assertLessEqual(labels - TARGET, self.exposed.labels[name], f"{place}: labels of {name}")

    def test_the_alerts_use_only_metrics_and_labels_of_the_program(self):
        for rule in load_rules():
            with self.subTest(alert=rule["alert"]):
                self.check(rule["alert"], rule["expr"])

    def test_the_dashboard_uses_only_metrics_and_labels_of_the_program(self):
        for title, query in panel_queries():
            with self.subTest(panel=title):
                self.check(title, query)
        for variable in dashboard()["templating"]["list"]:
            if variable["type"] == "query":
                self.check(variable["name"], variable["query"]["query"])

    def test_the_dashboard_shows_every_metric_of_the_program(self):
        plain = lambda name: re.sub("_(bucket|sum|count)$", "", name)
        shown = {plain(name) for _, query in panel_queries() for name in used(query)}
        self.assertEqual({plain(name) for name in self.exposed.labels} - shown, UNSHOWN)

    def test_labels_of_annotations_and_legends_exist_in_the_result(self):
        for rule in load_rules():
            for text in rule["annotations"].values():
                for label in re.findall(r"\$labels\.(\w+)", text):
                    grouped = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
                    self.assertTrue(label in TARGET and not grouped or any(label in group for group in grouped), rule["alert"])
        for panel in dashboard()["panels"]:
            for target in panel.get("targets", []):
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    self.assertRegex(target["expr"], rf"\bby \([^)]*\b{label}\b", panel["title"])

    def test_an_unknown_metric_or_label_is_noticed(self):
        """A control test: the checks above detect mistakes."""
        self.check("control", "sum by (status) (rate(runyard_runs_ended_total[5m]))")
        for query in ("runyard_nosuch_total", 'runyard_requests_total{nosuch="1"}', "sum by (nosuch) (runyard_requests_total)"):
            with self.subTest(query=query), self.assertRaises(AssertionError):
                self.check("control", query)


class DashboardTest(unittest.TestCase):
    def test_panels_have_their_own_ids_and_places(self):
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            cells = {
                (place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])
            }
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            taken |= cells


@unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
class PromtoolTest(unittest.TestCase):
    def promtool(self, *arguments):
        return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=DEADLINE, check=False)

    def assert_passes(self, *arguments):
        done = self.promtool(*arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_rules_are_valid_and_pass_their_tests(self):
        self.assert_passes("check", "rules", RULES)
        self.assert_passes("test", "rules", TESTS)

    def test_every_alert_has_a_test(self):
        with open(TESTS, encoding="utf-8") as file:
            text = file.read()
        for rule in load_rules():
            self.assertIn(f'alertname="{rule["alert"]}"', text)

    def test_the_tests_notice_a_changed_rule(self):
        """A control test: if the alerts never fire, or always fire, the test of each alert fails."""
        with open(TESTS, encoding="utf-8") as file:
            tests = file.read()
        for change in ("({}) and on () vector(0) > 1", "({}) or label_replace(vector(1), 'instance', 'wrong', '', '')"):
            with open(RULES, encoding="utf-8") as file:
                document = yaml.safe_load(file)
            for rule in document["groups"][0]["rules"]:
                rule["expr"] = change.format(rule["expr"])
            with tempfile.TemporaryDirectory() as folder, self.subTest(change=change):
                changed, copy = os.path.join(folder, "rules.yml"), os.path.join(folder, "test.yml")
                with open(changed, "w", encoding="utf-8") as file:
                    yaml.safe_dump(document, file)
                with open(copy, "w", encoding="utf-8") as file:
                    file.write(tests.replace("../../packaging/prometheus/runyard.rules.yml", changed))
                done = self.promtool("test", "rules", copy)
                self.assertNotEqual(done.returncode, 0)
                for rule in document["groups"][0]["rules"]:
                    self.assertIn(f'expr: "ALERTS{{alertname=\\"{rule["alert"]}\\"', done.stdout + done.stderr)

    def test_every_query_of_the_dashboard_is_valid(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "queries.yml")
            queries = [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for _, query in panel_queries()]
            rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
            with open(path, "w", encoding="utf-8") as file:
                yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
            self.assert_passes("check", "rules", path)

    def test_the_part_of_the_configuration_is_valid(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(PACKAGING, "prometheus", "scrape.yml"), encoding="utf-8") as file:
                text = file.read()
            shutil.copy(RULES, folder)
            secret = os.path.join(folder, "metrics.token")
            with open(secret, "w", encoding="utf-8") as file:
                file.write(TOKEN)
            self.assertIn("/etc/prometheus/metrics.token", text)
            path = os.path.join(folder, "prometheus.yml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("/etc/prometheus", folder))
            self.assert_passes("check", "config", path)
