"""Plays golden.json through the synchronous and the asyncio Python client, over gRPC and over HTTP."""

import asyncio
import base64
import dataclasses
import datetime
import unittest

import runyard
from google.protobuf import json_format
from runyard._methods import CREATE_UPLOAD, UPLOAD_CHUNK
from runyard.events import EVENTS, RENAMED
from runyard.models import Upload

from golden import Player, Refused, exchanges, name_of
from model import Model
from program import Server

FACE = {
    "AgentService.CreateAgent": ("agents", "create", ()),
    "AgentService.ListAgents": ("agents", "list", ()),
    "AgentService.GetAgent": ("agents", "get", ("agent_id",)),
    "AgentService.UpdateAgent": ("agents", "update", ("agent_id",)),
    "AgentService.DeleteAgent": ("agents", "delete", ("agent_id",)),
    "AgentService.GenerateAgentIcon": ("agents", "generate_icon", ("name",)),
    "AgentService.ListAgentVersions": ("agents", "versions", ("agent_id",)),
    "AgentService.CreateAgentVersion": ("agents", "create_version", ("agent_id",)),
    "AgentService.GetAgentVersion": ("agents", "get_version", ("agent_id", "version_id")),
    "AgentService.ActivateAgentVersion": ("agents", "activate_version", ("agent_id", "version_id")),
    "AgentService.RollbackAgentVersion": ("agents", "rollback_version", ("agent_id", "version_id")),
    "AgentService.CompareAgentVersions": ("agents", "compare_versions", ("agent_id", "version_id", "other_version_id")),
    "AgentService.ListAgentTools": ("agents", "tools", ("agent_id",)),
    "AgentService.TestMcpServer": ("agents", "test_mcp_server", ()),
    "RunService.StartRun": ("agents", "run", ()),
    "RunService.ListModes": ("agents", "modes", ()),
    "RunService.GetRun": ("runs", "get", ("agent_run_id",)),
    "RunService.StopRun": ("runs", "stop", ("agent_run_id",)),
    "RunService.ListRuns": ("runs", "list", ()),
    "RunService.ListActiveRuns": ("agents", "list_active", ()),
    "InputService.AnswerInput": ("inputs", "answer", ("agent_run_id",)),
    "InputService.ListPendingInputs": ("inputs", "list_pending", ()),
    "InputService.GetInput": ("inputs", "get", ("input_id",)),
    "ThreadService.CreateThread": ("threads", "create", ()),
    "ThreadService.ListThreads": ("threads", "list", ()),
    "ThreadService.GetThread": ("threads", "get", ("thread_id",)),
    "ThreadService.UpdateThread": ("threads", "update", ("thread_id",)),
    "ThreadService.SuggestThreadTitle": ("threads", "suggest_title", ("thread_id",)),
    "ThreadService.DeleteThread": ("threads", "delete", ("thread_id",)),
    "ThreadService.ListMessages": ("threads", "messages", ("thread_id",)),
    "ThreadService.AddMessage": ("threads", "add_message", ("thread_id",)),
    "MemoryService.CreateMemory": ("memories", "create", ("text",)),
    "MemoryService.ListMemories": ("memories", "list", ()),
    "MemoryService.GetMemory": ("memories", "get", ("memory_id",)),
    "MemoryService.UpdateMemory": ("memories", "update", ("memory_id",)),
    "MemoryService.DeleteMemory": ("memories", "delete", ("memory_id",)),
    "SecretService.CreateSecret": ("secrets", "create", ("name", "value")),
    "SecretService.ListSecrets": ("secrets", "list", ()),
    "SecretService.UpdateSecret": ("secrets", "update", ("secret_id",)),
    "SecretService.DeleteSecret": ("secrets", "delete", ("secret_id",)),
    "TriggerService.CreateTrigger": ("triggers", "create", ("name", "prompt")),
    "TriggerService.ListTriggers": ("triggers", "list", ()),
    "TriggerService.GetTrigger": ("triggers", "get", ("trigger_id",)),
    "TriggerService.UpdateTrigger": ("triggers", "update", ("trigger_id",)),
    "TriggerService.DeleteTrigger": ("triggers", "delete", ("trigger_id",)),
    "TriggerService.RotateTriggerSecret": ("triggers", "rotate_secret", ("trigger_id",)),
    "ShareService.CreateShare": ("shares", "create", ("thread_id",)),
    "ShareService.ListShares": ("shares", "list", ()),
    "ShareService.RevokeShare": ("shares", "revoke", ("share_id",)),
    "ShareService.GetSharedThread": ("shares", "get_thread", ("token",)),
    "ShareService.ListSharedMessages": ("shares", "messages", ("token",)),
    "ScheduleService.CreateSchedule": ("schedules", "create", ("name", "cron", "prompt")),
    "ScheduleService.ListSchedules": ("schedules", "list", ()),
    "ScheduleService.GetSchedule": ("schedules", "get", ("schedule_id",)),
    "ScheduleService.UpdateSchedule": ("schedules", "update", ("schedule_id",)),
    "ScheduleService.DeleteSchedule": ("schedules", "delete", ("schedule_id",)),
    "ScheduleService.PauseSchedule": ("schedules", "pause", ("schedule_id",)),
    "ScheduleService.ResumeSchedule": ("schedules", "resume", ("schedule_id",)),
    "ScheduleService.RunScheduleNow": ("schedules", "run_now", ("schedule_id",)),
    "ScheduleService.ListScheduleRuns": ("schedules", "runs", ("schedule_id",)),
    "WebhookService.CreateWebhook": ("webhooks", "create", ("url",)),
    "WebhookService.ListWebhooks": ("webhooks", "list", ()),
    "WebhookService.GetWebhook": ("webhooks", "get", ("webhook_id",)),
    "WebhookService.UpdateWebhook": ("webhooks", "update", ("webhook_id",)),
    "WebhookService.DeleteWebhook": ("webhooks", "delete", ("webhook_id",)),
    "WebhookService.RotateWebhookSecret": ("webhooks", "rotate_secret", ("webhook_id",)),
    "WebhookService.TestWebhook": ("webhooks", "test", ("webhook_id",)),
    "WebhookService.ListWebhookDeliveries": ("webhooks", "deliveries", ("webhook_id",)),
    "WebhookService.RedeliverWebhookDelivery": ("webhooks", "redeliver", ("webhook_id", "delivery_id")),
    "ProjectService.ListProjects": ("projects", "list", ()),
    "ProjectService.GetProject": ("projects", "get", ("project_id",)),
    "ProjectService.DeleteProject": ("projects", "delete", ("project_id",)),
    "SandboxService.GetSandbox": ("sandboxes", "get", ("sandbox_id",)),
    "SandboxService.ListFiles": ("sandboxes", "files", ("sandbox_id",)),
    "SandboxService.WriteFile": ("sandboxes", "write", ("sandbox_id", "path", "upload_id")),
    "SandboxService.DeleteFile": ("sandboxes", "delete_file", ("sandbox_id", "path")),
    "SkillService.CreateSkill": ("skills", "create", ("archive",)),
    "SkillService.ListSkills": ("skills", "list", ()),
    "SkillService.GetSkill": ("skills", "get", ("skill_id",)),
    "SkillService.DeleteSkill": ("skills", "delete", ("skill_id",)),
    "AccountService.GetAccountState": ("account", "state", ()),
    "AccountService.ListUsage": ("account", "usage", ()),
    "AccountService.CreateApiKey": ("api_keys", "create", ()),
    "AccountService.ListApiKeys": ("api_keys", "list", ()),
    "AccountService.RevokeApiKey": ("api_keys", "revoke", ("key_id",)),
}
# The client returns a plain list where the API returns an object. LISTS maps the client's method to the object's list
# field.
LISTS = {
    "versions": "versions", "tools": "tools", "messages": "messages", "files": "files", "usage": "entries",
    "list_active": "active_runs", "modes": "modes", "list_pending": "inputs", "deliveries": "deliveries", "runs": "runs",
}
# LISTED maps an attribute of the client to the list field that its method `list` reads.
LISTED = {
    "agents": "agents",
    "runs": "agent_runs",
    "threads": "threads",
    "projects": "projects",
    "api_keys": "api_keys",
    "memories": "memories",
    "skills": "skills",
    "webhooks": "webhooks",
    "schedules": "schedules",
    "triggers": "triggers",
    "secrets": "secrets",
    "shares": "shares",
}
ENUMS = ("status", "if_busy", "role", "type")


class Door:
    """An adapter that returns JSON types; see golden.py."""

    def __init__(self, client, do):
        self.client = client
        self.do = do

    def refuse(self, act):
        try:
            return self.do(act())
        except runyard.RunyardError as error:
            details = {"message": error.message, "error_code": error.error_code, **in_json(error.details)}
            fields = [violation.field for violation in error.field_violations]
            raise Refused(
                code=error.grpc_code, reason=error.error_code, message=error.message, details=details, fields=fields
            ) from error

    def call(self, method, request):
        if method.startswith("FileService."):
            # The client has one method for a whole upload, so the test calls the API's upload methods through the
            # transport.
            known = {CREATE_UPLOAD.name: CREATE_UPLOAD, UPLOAD_CHUNK.name: UPLOAD_CHUNK}[method]
            message = json_format.ParseDict(request, known.request())
            answer = self.refuse(lambda: self.client._transport.call(known, message))
            return json_format.MessageToDict(
                answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        service, name, by_position = FACE[method]
        request = {key: self.argument(key, value) for key, value in request.items()}
        if "output_schema" in request:
            request["output"] = request.pop("output_schema")
        first = [request.pop(key) for key in by_position if key in request]
        answer = self.refuse(lambda: getattr(getattr(self.client, service), name)(*first, **request))
        if isinstance(answer, list):
            listed = LISTS.get(name) or LISTED[service]
            # Some lists have further attributes, such as the servers whose tools are missing from a list of tools.
            return {listed: in_json(answer), **{key: in_json(value) for key, value in vars(answer).items()}}
        return in_json(answer) or {}

    def argument(self, key, value):
        if key == "archive":
            return base64.b64decode(value)
        if key == "upload_id":
            return uploaded(value)
        if key == "files":
            return [uploaded(one) for one in value]
        if key in ENUMS:
            return name_of(value).removeprefix("if_busy_")
        if key == "approvals":
            rules = [{**rule, "decision": name_of(rule["decision"])} for rule in value.get("rules", [])]
            return {**value, "rules": rules}
        if key == "answers":
            return [{**one, "decision": name_of(one["decision"])} for one in value]
        if key == "tools":
            return [runyard.ClientTool(**one) for one in value]
        if key == "custom_mcps":
            return [{**one, "type": name_of(one["type"])} for one in value]
        if key == "server":
            return {**value, "type": name_of(value["type"])}
        return [name_of(one) for one in value] if key == "scopes" else value

    def upload(self, name, data):
        return self.refuse(lambda: self.client.files.upload((name, data))).upload_id

    def read(self, request):
        return self.refuse(lambda: self.client.sandboxes.read(request["sandbox_id"], request["path"]))


class SyncDoor(Door):
    def __init__(self, url, token, transport):
        super().__init__(runyard.Runyard(url, token or "", transport=transport), lambda answer: answer)

    def stream(self, request, most):
        def read():
            events = []
            for event in self.client.runs.stream(request["agent_run_id"], after_sequence=request["after_sequence"]):
                events.append(event_in_json(event))
                if len(events) == most:
                    break
            return events

        return self.refuse(read)


class AsyncDoor(Door):
    def __init__(self, url, token, transport, loop):
        super().__init__(runyard.AsyncRunyard(url, token or "", transport=transport), loop.run_until_complete)

    def stream(self, request, most):
        async def read():
            events = []
            async for event in self.client.runs.stream(request["agent_run_id"], after_sequence=request["after_sequence"]):
                events.append(event_in_json(event))
                if len(events) == most:
                    break
            return events

        return self.refuse(read)


def uploaded(upload_id):
    return Upload(upload_id=upload_id, name="", size=0, received=0, complete=True, created_at=None)


def in_json(value):
    if isinstance(value, (list, tuple)):
        return [in_json(one) for one in value]
    if isinstance(value, dict):
        return {key: in_json(one) for key, one in value.items()}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value):
        return {field.name: in_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if getattr(value, "record", None) is not None:
        return in_json(value.record)
    if value is None or isinstance(value, (str, int, float)):
        return value
    return {key: in_json(one) for key, one in vars(value).items() if not key.startswith("_")}


def event_in_json(event):
    assert EVENTS[event.kind] is type(event), event
    payload = in_json(event)
    common = {key: payload.pop(key) for key in ("agent_run_id", "sequence", "created_at")}
    for (kind, field), name in RENAMED.items():
        if event.kind == kind:
            payload[field] = payload.pop(name)
    return {**common, event.kind: payload}


class GrpcGoldenTest(unittest.TestCase):
    transport = "grpc"

    @classmethod
    def setUpClass(cls):
        cls.model = Model()
        cls.addClassCleanup(cls.model.close)
        cls.server = Server(cls.model)
        cls.addClassCleanup(cls.server.close)

    def play(self, open_door):
        doors = []

        def opened(token):
            doors.append(open_door(token))
            return doors[-1]

        self.addCleanup(lambda: [door.do(door.client.close()) for door in doors])
        for exchange in exchanges():
            with self.subTest(exchange["name"]):
                Player(opened, self.server.caller).play(exchange)

    def test_the_synchronous_client(self):
        self.play(lambda token: SyncDoor(self.server.url, token, self.transport))

    def test_the_asyncio_client(self):
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        self.play(lambda token: AsyncDoor(self.server.url, token, self.transport, loop))


class HttpGoldenTest(GrpcGoldenTest):
    transport = "http"


if __name__ == "__main__":
    unittest.main()
