"""Agents, their versions, and starting runs."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runyard import _methods as methods
from runyard import tools as client_tools
from runyard._async.run import AsyncRun
from runyard._lists import pages
from runyard._output import Output, schema_of
from runyard._sources import FileLike
from runyard._unset import UNSET, Unset, changes
from runyard.models import (
    Agent,
    AgentIcon,
    AgentSkill,
    AgentTool,
    AgentTools,
    AgentVersion,
    AgentVersionComparison,
    ApprovalSettings,
    IfBusy,
    McpServer,
    McpServerTrial,
    MemorySettings,
    Mode,
    Page,
    ToolSetting,
    UnavailableMcpServer,
    to_message,
)

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard

Mcps = Sequence[McpServer | Mapping[str, Any]]
Skills = Sequence[AgentSkill | Mapping[str, Any]]
Tools = Mapping[str, bool | ToolSetting | Mapping[str, Any]]
Remembering = MemorySettings | Mapping[str, Any]
Approvals = ApprovalSettings | Mapping[str, Any]


class AsyncAgents:
    """Manages agents and starts runs."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._client = client
        self._transport = client._transport

    async def create(
        self,
        *,
        name: str = "",
        description: str | None = None,
        is_default: bool = False,
        icon_name: str | None = None,
        icon_color: str | None = None,
        icon_background: str | None = None,
        system_prompt: str | None = None,
        configured_mcps: Mcps | None = None,
        custom_mcps: Mcps | None = None,
        agentpress_tools: Tools | None = None,
        skills: Skills | None = None,
        model: str | None = None,
        tags: Sequence[str] = (),
        is_public: bool = False,
        memory: Remembering | None = None,
        approvals: Approvals | None = None,
    ) -> Agent:
        """Creates an agent with its first version."""
        request = to_message(
            methods.CREATE_AGENT.request,
            name=name,
            description=description,
            is_default=is_default,
            icon_name=icon_name,
            icon_color=icon_color,
            icon_background=icon_background,
            system_prompt=system_prompt,
            configured_mcps=configured_mcps,
            custom_mcps=custom_mcps,
            agentpress_tools=agentpress_tools,
            skills=skills,
            model=model,
            tags=tags,
            is_public=is_public,
            memory=memory,
            approvals=approvals,
        )
        return await self._transport.load(methods.CREATE_AGENT, request, Agent)

    async def get(self, agent_id: str) -> Agent:
        """Returns an agent with its current version."""
        request = to_message(methods.GET_AGENT.request, agent_id=agent_id)
        return await self._transport.load(methods.GET_AGENT, request, Agent)

    async def list(
        self,
        *,
        search: str = "",
        order_by: str = "",
        is_default: bool | None = None,
        tag: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Agent]:
        """Returns one page of the caller's agents."""
        request = to_message(
            methods.LIST_AGENTS.request,
            search=search,
            order_by=order_by,
            is_default=is_default,
            tag=tag,
            page_size=page_size,
            page_token=page_token,
        )
        answer = await self._transport.call(methods.LIST_AGENTS, request)
        return pages(answer.agents, Agent, answer.next_page_token)

    async def list_all(
        self, *, search: str = "", order_by: str = "", is_default: bool | None = None, tag: str = ""
    ) -> AsyncIterator[Agent]:
        """Iterates over all of the caller's agents."""
        token = ""
        while True:
            page = await self.list(
                search=search, order_by=order_by, is_default=is_default, tag=tag, page_size=200, page_token=token
            )
            for agent in page:
                yield agent
            token = page.next_page_token
            if not token:
                return

    async def update(
        self,
        agent_id: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset | None = UNSET,
        is_default: bool | Unset = UNSET,
        icon_name: str | Unset | None = UNSET,
        icon_color: str | Unset | None = UNSET,
        icon_background: str | Unset | None = UNSET,
        system_prompt: str | Unset | None = UNSET,
        configured_mcps: Mcps | Unset | None = UNSET,
        custom_mcps: Mcps | Unset | None = UNSET,
        agentpress_tools: Tools | Unset | None = UNSET,
        skills: Skills | Unset | None = UNSET,
        model: str | Unset | None = UNSET,
        tags: Sequence[str] | Unset | None = UNSET,
        is_public: bool | Unset = UNSET,
        memory: Remembering | Unset | None = UNSET,
        approvals: Approvals | Unset | None = UNSET,
        expected_version_id: str | None = None,
    ) -> Agent:
        """Changes the given fields. None and [] clear a field."""
        request = changes(
            to_message(methods.UPDATE_AGENT.request, agent_id=agent_id, expected_version_id=expected_version_id),
            name=name,
            description=description,
            is_default=is_default,
            icon_name=icon_name,
            icon_color=icon_color,
            icon_background=icon_background,
            system_prompt=system_prompt,
            configured_mcps=configured_mcps,
            custom_mcps=custom_mcps,
            agentpress_tools=agentpress_tools,
            skills=skills,
            model=model,
            tags=tags,
            is_public=is_public,
            memory=memory,
            approvals=approvals,
        )
        return await self._transport.load(methods.UPDATE_AGENT, request, Agent)

    async def delete(self, agent_id: str) -> None:
        """Deletes an agent with its memories. Its runs and threads stay readable."""
        request = to_message(methods.DELETE_AGENT.request, agent_id=agent_id)
        await self._transport.call(methods.DELETE_AGENT, request)

    async def generate_icon(self, name: str) -> AgentIcon:
        """Suggests an icon and colours for a name."""
        request = to_message(methods.GENERATE_ICON.request, name=name)
        return await self._transport.load(methods.GENERATE_ICON, request, AgentIcon)

    async def versions(self, agent_id: str, *, page_size: int = 0, page_token: str = "") -> Page[AgentVersion]:
        """Returns one page of an agent's versions, newest first."""
        request = to_message(
            methods.LIST_VERSIONS.request, agent_id=agent_id, page_size=page_size, page_token=page_token
        )
        answer = await self._transport.call(methods.LIST_VERSIONS, request)
        return pages(answer.versions, AgentVersion, answer.next_page_token)

    async def create_version(
        self,
        agent_id: str,
        *,
        system_prompt: str | None = None,
        model: str | None = None,
        configured_mcps: Mcps | None = None,
        custom_mcps: Mcps | None = None,
        agentpress_tools: Tools | None = None,
        skills: Skills | None = None,
        memory: Remembering | None = None,
        approvals: Approvals | None = None,
    ) -> AgentVersion:
        """Creates a version and makes it the current version. Omitted fields are copied from the current version."""
        request = to_message(
            methods.CREATE_VERSION.request,
            agent_id=agent_id,
            system_prompt=system_prompt,
            model=model,
            configured_mcps=configured_mcps,
            custom_mcps=custom_mcps,
            agentpress_tools=agentpress_tools,
            skills=skills,
            memory=memory,
            approvals=approvals,
        )
        return await self._transport.load(methods.CREATE_VERSION, request, AgentVersion)

    async def get_version(self, agent_id: str, version_id: str) -> AgentVersion:
        """Returns one version of an agent."""
        request = to_message(methods.GET_VERSION.request, agent_id=agent_id, version_id=version_id)
        return await self._transport.load(methods.GET_VERSION, request, AgentVersion)

    async def activate_version(self, agent_id: str, version_id: str) -> Agent:
        """Makes an existing version the current version."""
        request = to_message(methods.ACTIVATE_VERSION.request, agent_id=agent_id, version_id=version_id)
        return await self._transport.load(methods.ACTIVATE_VERSION, request, Agent)

    async def rollback_version(self, agent_id: str, version_id: str) -> Agent:
        """Copies an earlier version into a new version and makes the copy the current version."""
        request = to_message(methods.ROLLBACK_VERSION.request, agent_id=agent_id, version_id=version_id)
        return await self._transport.load(methods.ROLLBACK_VERSION, request, Agent)

    async def compare_versions(self, agent_id: str, version_id: str, other_version_id: str) -> AgentVersionComparison:
        """Compares two versions of an agent and returns the changed fields."""
        request = to_message(
            methods.COMPARE_VERSIONS.request,
            agent_id=agent_id,
            version_id=version_id,
            other_version_id=other_version_id,
        )
        return await self._transport.load(methods.COMPARE_VERSIONS, request, AgentVersionComparison)

    async def tools(self, agent_id: str) -> AgentTools:
        """Returns the tools, whether the agent's current version may use them, and the unavailable MCP servers."""
        request = to_message(methods.LIST_TOOLS.request, agent_id=agent_id)
        answer = await self._transport.call(methods.LIST_TOOLS, request)
        unavailable = pages(answer.unavailable_mcp_servers, UnavailableMcpServer, "")
        return AgentTools(pages(answer.tools, AgentTool, ""), unavailable)

    async def test_mcp_server(self, server: McpServer | Mapping[str, Any], agent_id: str = "") -> McpServerTrial:
        """Connects to an MCP server and lists its tools. `agent_id` names the agent whose stored headers are used."""
        request = to_message(methods.TEST_MCP_SERVER.request, server=server, agent_id=agent_id)
        return await self._transport.load(methods.TEST_MCP_SERVER, request, McpServerTrial)

    async def run(
        self,
        *,
        prompt: str | None = None,
        files: Iterable[FileLike] = (),
        thread_id: str = "",
        project_id: str = "",
        agent_id: str = "",
        model_name: str = "",
        optimistic: bool = False,
        memory_enabled: bool | None = None,
        mode: str = "",
        reasoning_effort: str = "",
        if_busy: IfBusy | None = None,
        tools: Iterable[client_tools.Tool] = (),
        max_steps: int | None = None,
        max_seconds: int | None = None,
        max_credits: float | None = None,
        output: Output | None = None,
        request_id: str | None = None,
        progress: bool = False,
    ) -> AsyncRun:
        """Uploads the files, starts a run and returns a handle on it. The agent works in the background.

        Files are paths, open binary files, (name, bytes) tuples or uploads. `request_id` is the idempotency key: a
        retry with the same key does not start a second run. If it is omitted, the client generates a key; in optimistic
        mode, the thread id is the key. With `progress`, the method shows the run and returns when it has ended.

        `max_steps`, `max_seconds` and `max_credits` are the run's budget. A run that has used it ends as stopped.

        `output` is the form of the final answer: a Pydantic model, a dataclass, a TypedDict or a JSON schema. When the
        run has completed, `run.output` is an instance of it.

        `tools` are functions, or instances of `ClientTool`, that the model can call. Their type hints and docstrings
        describe them. While the program iterates over the run, or waits for it, the handle runs them and answers the
        calls.
        """
        if request_id is None:
            request_id = "" if optimistic else str(uuid.uuid4())
        provided = client_tools.declared(tools, may_await=True)
        output_schema = schema_of(output)
        uploads = await self._client.files.upload_all(files)
        request = to_message(
            methods.START_RUN.request,
            prompt=prompt,
            thread_id=thread_id,
            project_id=project_id,
            agent_id=agent_id,
            model_name=model_name,
            optimistic=optimistic,
            memory_enabled=memory_enabled,
            mode=mode,
            reasoning_effort=reasoning_effort,
            files=[upload.upload_id for upload in uploads],
            request_id=request_id,
            if_busy=if_busy,
            tools=client_tools.in_request(provided),
            max_steps=max_steps,
            max_seconds=max_seconds,
            max_credits=max_credits,
            output_schema=output_schema,
        )
        started = await self._transport.call(methods.START_RUN, request)
        run = AsyncRun(
            self._client,
            agent_run_id=started.agent_run_id,
            thread_id=started.thread_id,
            project_id=started.project_id,
            sandbox_id=started.sandbox_id or None,
            status="running",
            tools=provided,
            output=output,
        )
        if progress:
            await run.show()
        return run

    async def modes(self) -> Page[Mode]:
        """Returns the modes in which a run can be started."""
        answer = await self._transport.call(methods.LIST_MODES, methods.LIST_MODES.request())
        return pages(answer.modes, Mode, "")

    async def list_active(self) -> Page[AsyncRun]:
        """Returns the caller's newest active runs, up to 200."""
        return await self._client.runs.list_active()
