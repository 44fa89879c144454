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
    AgentOrder,
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
    ModeName,
    Page,
    ReasoningEffort,
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
        """Creates an agent with its first version.

        Args:
            name: Name, 2 to 100 characters.
            description: Purpose of the agent.
            is_default: If true, this agent becomes the account's default agent.
            icon_name: Icon name; default "bot".
            icon_color: Icon colour; default "#000000".
            icon_background: Icon background colour; default "#F3F4F6".
            system_prompt: System prompt; default: the built-in prompt.
            configured_mcps: Configured MCP integrations.
            custom_mcps: Custom MCP servers.
            agentpress_tools: Tool settings by tool name. The core tools are always enabled. A name such as "skills"
                switches a group of tools on or off; the default is on. `tools()` shows the effect.
            skills: Skills that the agent can load: up to 32, each name once. The skills must exist.
            model: Public name of the model; default: the tier's default model.
            tags: Free-text labels.
            is_public: True if the agent is marked as public. The mark does not give other accounts access.
            memory: Memory settings; default: memory is off unless a run enables it, and each agent has its own
                memories.
            approvals: Approvals of tool calls; default: all calls run at once.
        """
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
        """Returns an agent with its current version.

        Args:
            agent_id: The agent's UUID.
        """
        request = to_message(methods.GET_AGENT.request, agent_id=agent_id)
        return await self._transport.load(methods.GET_AGENT, request, Agent)

    async def list(
        self,
        *,
        search: str = "",
        order_by: AgentOrder | None = None,
        is_default: bool | None = None,
        tag: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Agent]:
        """Returns one page of the caller's agents.

        Args:
            search: Lists only agents whose name or description contains this text, ignoring case.
            order_by: Sort order: "created_at", "updated_at" or "name", optionally followed by " desc". Default: newest
                first.
            is_default: If true, lists only the default agent. If false, lists all agents except the default agent.
            tag: Lists only agents with this label.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
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
        self, *, search: str = "", order_by: AgentOrder | None = None, is_default: bool | None = None, tag: str = ""
    ) -> AsyncIterator[Agent]:
        """Iterates over all of the caller's agents.

        Args:
            search: Lists only agents whose name or description contains this text, ignoring case.
            order_by: Sort order: "created_at", "updated_at" or "name", optionally followed by " desc". Default: newest
                first.
            is_default: If true, lists only the default agent. If false, lists all agents except the default agent.
            tag: Lists only agents with this label.
        """
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
        """Changes the given fields. None and [] clear a field.

        Args:
            agent_id: The agent's UUID.
            name: New name.
            description: New description.
            is_default: If true, this agent becomes the account's default agent.
            icon_name: New icon name.
            icon_color: New icon colour.
            icon_background: New icon background colour.
            system_prompt: New system prompt.
            configured_mcps: New configured MCP integrations.
            custom_mcps: New custom MCP servers.
            agentpress_tools: New tool settings by tool name.
            skills: New list of skills.
            model: Public name of the new model.
            tags: New labels.
            is_public: True if the agent is marked as public. The mark does not give other accounts access.
            memory: New memory settings. They replace all previous memory settings.
            approvals: New approvals of tool calls. They replace all previous rules.
            expected_version_id: UUID of the version that the caller expects to be current. If another version is
                current, the update is refused.
        """
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
        """Deletes an agent with its memories. Its runs and threads stay readable.

        Args:
            agent_id: The agent's UUID.
        """
        request = to_message(methods.DELETE_AGENT.request, agent_id=agent_id)
        await self._transport.call(methods.DELETE_AGENT, request)

    async def generate_icon(self, name: str) -> AgentIcon:
        """Suggests an icon and colours for a name.

        Args:
            name: Name of the agent.
        """
        request = to_message(methods.GENERATE_ICON.request, name=name)
        return await self._transport.load(methods.GENERATE_ICON, request, AgentIcon)

    async def versions(self, agent_id: str, *, page_size: int = 0, page_token: str = "") -> Page[AgentVersion]:
        """Returns one page of an agent's versions, newest first.

        Args:
            agent_id: The agent's UUID.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
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
        """Creates a version and makes it the current version. Omitted fields are copied from the current version.

        Args:
            agent_id: The agent's UUID.
            system_prompt: System prompt; default: the system prompt of the current version.
            model: Public name of the model; default: the model of the current version.
            configured_mcps: Configured MCP integrations; default: the integrations of the current version.
            custom_mcps: Custom MCP servers; default: the servers of the current version.
            agentpress_tools: Tool settings by tool name; default: the settings of the current version. The core tools
                are always enabled.
            skills: Skills; default: the skills of the current version.
            memory: Memory settings; default: the settings of the current version.
            approvals: Approvals of tool calls; default: the settings of the current version.
        """
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
        """Returns one version of an agent.

        Args:
            agent_id: The agent's UUID.
            version_id: The version's UUID.
        """
        request = to_message(methods.GET_VERSION.request, agent_id=agent_id, version_id=version_id)
        return await self._transport.load(methods.GET_VERSION, request, AgentVersion)

    async def activate_version(self, agent_id: str, version_id: str) -> Agent:
        """Makes an existing version the current version.

        Args:
            agent_id: The agent's UUID.
            version_id: The version's UUID.
        """
        request = to_message(methods.ACTIVATE_VERSION.request, agent_id=agent_id, version_id=version_id)
        return await self._transport.load(methods.ACTIVATE_VERSION, request, Agent)

    async def rollback_version(self, agent_id: str, version_id: str) -> Agent:
        """Copies an earlier version into a new version and makes the copy the current version.

        Args:
            agent_id: The agent's UUID.
            version_id: The version's UUID.
        """
        request = to_message(methods.ROLLBACK_VERSION.request, agent_id=agent_id, version_id=version_id)
        return await self._transport.load(methods.ROLLBACK_VERSION, request, Agent)

    async def compare_versions(self, agent_id: str, version_id: str, other_version_id: str) -> AgentVersionComparison:
        """Compares two versions of an agent and returns the changed fields.

        Args:
            agent_id: The agent's UUID.
            version_id: UUID of the first version.
            other_version_id: UUID of the other version.
        """
        request = to_message(
            methods.COMPARE_VERSIONS.request,
            agent_id=agent_id,
            version_id=version_id,
            other_version_id=other_version_id,
        )
        return await self._transport.load(methods.COMPARE_VERSIONS, request, AgentVersionComparison)

    async def tools(self, agent_id: str) -> AgentTools:
        """Returns the tools, whether the agent's current version may use them, and the unavailable MCP servers.

        Args:
            agent_id: The agent's UUID.
        """
        request = to_message(methods.LIST_TOOLS.request, agent_id=agent_id)
        answer = await self._transport.call(methods.LIST_TOOLS, request)
        unavailable = pages(answer.unavailable_mcp_servers, UnavailableMcpServer, "")
        return AgentTools(pages(answer.tools, AgentTool, ""), unavailable)

    async def test_mcp_server(self, server: McpServer | Mapping[str, Any], agent_id: str = "") -> McpServerTrial:
        """Connects to an MCP server and lists its tools. `agent_id` names the agent whose stored headers are used.

        Args:
            server: The server to connect to.
            agent_id: UUID of the agent whose current version has the server. Needed only if a header has the value
                "***", which stands for the stored value.
        """
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
        mode: ModeName = "",
        reasoning_effort: ReasoningEffort | None = None,
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

        A run that has used its budget (`max_steps`, `max_seconds`, `max_credits`) ends as stopped.

        Args:
            prompt: Task for the agent. Required for a new thread.
            files: Files for the workspace: paths, open binary files, (name, bytes) tuples or uploads.
            thread_id: UUID of the thread to continue. If `optimistic` is true, this may be a new UUID.
            project_id: UUID of the project. Required if `optimistic` is true.
            agent_id: UUID of the agent. Default: the account's default agent.
            model_name: Public name of the model. It overrides the agent's model.
            optimistic: If true, the client generates the UUIDs in thread_id and project_id (optimistic mode).
            memory_enabled: Whether the run uses memory. Default: the memory settings of the agent's version. A run
                without memory neither reads nor writes memories.
            mode: Name of a mode, which determines the tools, the instructions and the budget of the run. Default:
                "code". `modes()` lists the modes.
            reasoning_effort: Reasoning effort of the model: "none", "minimal", "low", "medium" or "high". Default: the
                effort in the model's configuration. Models without a reasoning effort ignore this field.
            if_busy: Behaviour if the thread already has a running run.
            output: Form of the final answer: a Pydantic model, a dataclass, a TypedDict or a JSON schema. When the run
                has completed, `run.output` is an instance of it.
            tools: Functions, or instances of `ClientTool`, that the model can call. Their type hints and docstrings
                describe them. While the program iterates over the run, or waits for it, the handle runs them and
                answers the calls.
            max_steps: Maximum number of model calls. When a budget is used up, the run ends as stopped with the reason
                budget, and its work is kept. The limits of the server, the mode and the plan also apply.
            max_seconds: Maximum time in seconds, without the time during which the run waits for a worker or for
                inputs.
            max_credits: Maximum cost in credits. The last model call gets fewer output tokens if the rest of the budget
                requires it.
            request_id: Idempotency key, up to 255 characters: a retry with the same key within 24 hours does not start
                a second run. By default, the client generates a key; in optimistic mode, the thread id is the key.
            progress: Shows the run, and returns when it has ended.
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
