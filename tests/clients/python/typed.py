"""Correct uses of the client, which mypy must accept. This file is not executed."""

from dataclasses import dataclass

from typing_extensions import assert_type

from runyard import AsyncRunyard, ClientTool, Run, Runyard
from runyard.events import MessageDelta, RunEvent, StatusChanged
from runyard.models import Agent, ApprovalSettings, InputAnswer, InputKind, RunRecord, ToolRule


@dataclass
class City:
    name: str


def weather(city: str) -> str:
    return city


def watch(client: Runyard) -> str:
    agent = client.agents.create(name="Analyst", agentpress_tools={"skills": True})
    assert_type(agent, Agent)
    approvals = ApprovalSettings(rules=[ToolRule(tool="bash", decision="ask")])
    client.agents.update(agent.agent_id, description=None, approvals=approvals)
    run = client.agents.run(prompt="x", files=["a.csv", ("b.csv", b"1"), open("c.csv", "rb")], if_busy="reject", mode="my-own", reasoning_effort="low")
    assert_type(run, Run)
    said = ""
    for event in run:
        assert_type(event, RunEvent)
        match event:
            case MessageDelta():
                said += event.text
            case StatusChanged(status="completed"):
                return said
    client.agents.run(prompt="x", output=City)
    client.agents.run(prompt="x", output={"type": "object"})
    client.agents.run(prompt="x", tools=[weather, ClientTool(name="manual")])
    assert_type([one.kind for one in client.inputs.list_pending()], list[InputKind])
    client.inputs.answer(run.id, [InputAnswer(input_id="x", decision="deny", text="No."), {"input_id": "y"}])
    assert_type(run.wait(timeout=1), RunRecord)
    assert_type([one.thread_id for one in client.agents.list_active()], list[str])
    assert_type([file.read() for file in run.files()], list[bytes])
    return run.text()


async def watch_with_asyncio(client: AsyncRunyard) -> str:
    run = await client.agents.run(prompt="x")
    async for event in run:
        assert_type(event, RunEvent)
    assert_type([await file.read() for file in await run.files()], list[bytes])
    async for agent in client.agents.list_all():
        assert_type(agent, Agent)
    return await run.text()
