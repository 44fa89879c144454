"""Uses of the client that mypy must find wrong, each in a line that says so; it is not run."""

from runyard import AsyncRunyard, Runyard


def wrong(client: Runyard) -> None:
    client.agents.create("Analyst")  # wrong: a name is given by name
    client.agents.run(prompt="x", if_busy="wait")  # wrong: no such word
    client.agents.run(prompt="x", files=[1])  # wrong: no file
    client.agents.run(prompt="x").nothing()  # wrong: no such method
    client.runs.list(status="done")  # wrong: no such status


async def wrong_with_asyncio(client: AsyncRunyard) -> None:
    client.agents.run(prompt="x").stop()  # wrong: not awaited
