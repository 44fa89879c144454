"""Wrong uses of the client, which mypy must report on the marked lines. This file is not executed."""

from runyard import AsyncRunyard, Runyard
from runyard.models import InputAnswer


def wrong(client: Runyard) -> None:
    client.agents.create("Analyst")  # wrong: the name is a keyword argument
    client.agents.run(prompt="x", if_busy="wait")  # wrong: no such value
    client.agents.run(prompt="x", reasoning_effort="huge")  # wrong: no such effort
    client.agents.list(order_by="size")  # wrong: no such order
    client.webhooks.create("https://example.com", events=["run.began"])  # wrong: no such event
    client.agents.run(prompt="x", files=[1])  # wrong: not a file
    client.agents.run(prompt="x").nothing()  # wrong: no such method
    client.agents.run(prompt="x", tools=["bash"])  # wrong: not a function
    client.agents.run(prompt="x", output="City")  # wrong: not a type
    client.inputs.answer("x", InputAnswer(input_id="y", decision="maybe"))  # wrong: no such decision
    client.runs.list(status="done")  # wrong: no such status


async def wrong_with_asyncio(client: AsyncRunyard) -> None:
    client.agents.run(prompt="x").stop()  # wrong: not awaited
