// The usage page: charges by day, model, agent, thread or run, as a plot, as a table and as a CSV file.
import { Download } from "lucide";
import { useSignal } from "@preact/signals";
import type { UsageEntry } from "@runyard/client";
import { useEffect, useMemo } from "preact/hooks";
import { runyard } from "../client";
import { Empty, RefusalNote, Spinner } from "../parts/basic";
import { ColumnChart, RowChart } from "../parts/chart";
import { Icon } from "../parts/icon";
import { agents, loadAgents } from "../stores/agents";
import { announce } from "../stores/announce";
import { download } from "../stores/download";
import { Loadable } from "../stores/loaded";
import { loadThreads, threads } from "../stores/threads";
import { count, credits, day, dayOfMonth, short } from "../view/format";
import { type By, type Metric, type UsageGroup, everyDay, groupUsage, largest, metricOf, usageCsv } from "../view/usage";

/** Maximum number of charges, and of runs, in a report. */
const MAX_ITEMS = 5_000;
const MAX_ROWS = 200;
/** Maximum number of bars of a plot other than the plot by day. */
const MAX_BARS = 12;
const DAY_MS = 86_400_000;

const WORDS: Record<By, string> = { day: "Day", model: "Model", agent: "Agent", thread: "Thread", run: "Run" };
const METRICS: Record<Metric, string> = { credits: "Credits", tokens: "Tokens", calls: "Model calls" };

interface Report {
  entries: readonly UsageEntry[];
  days: number;
  until: number;
}

const usage = new Loadable<Report>();
/** The agent of each run of the period. */
const agentOfRun = new Loadable<ReadonlyMap<string, string>>();

async function load(days: number): Promise<void> {
  const until = Date.now();
  // The period begins with the start of its first day, in UTC.
  const createdAfter = new Date(Math.floor(until / DAY_MS) * DAY_MS - (days - 1) * DAY_MS);
  agentOfRun.clear();
  await usage.load(async () => ({ days, until, entries: await runyard().account.usage({ pageSize: 200, createdAfter }).all(MAX_ITEMS) }));
}

async function loadAgentsOfRuns({ days, until }: Report): Promise<void> {
  // A run can be older than its last charge.
  const createdAfter = new Date(until - (days + 1) * DAY_MS);
  await agentOfRun.load(async () => {
    const runs = await runyard().runs.list({ pageSize: 200, createdAfter }).all(MAX_ITEMS);
    return new Map(runs.map((run) => [run.agentRunId, run.agentId ?? "built-in"]));
  });
}

export function UsageScreen() {
  const by = useSignal<By>("day");
  const metric = useSignal<Metric>("credits");
  const days = useSignal(30);
  useEffect(() => {
    document.title = "Usage · Runyard";
    void loadAgents();
    void loadThreads();
  }, []);
  useEffect(() => void load(days.value), [days.value]);
  const { value, refused, loading } = usage.state.value;
  const needsAgents = by.value === "agent";
  useEffect(() => {
    if (needsAgents && value && !agentOfRun.state.peek().value) void loadAgentsOfRuns(value);
  }, [needsAgents, value]);
  const agentsByRun = agentOfRun.value;
  const groups = useMemo(
    () => groupUsage(value?.entries ?? [], by.value, (runId) => (runId === "" ? "" : (agentsByRun?.get(runId) ?? "unknown"))),
    [value, by.value, agentsByRun],
  );
  const nameOf = (group: UsageGroup) => groupName(group, by.value);
  const save = () => {
    download(`usage-by-${by.value}.csv`, usageCsv(groups, by.value, by.value === "day" ? ({ key }) => key : nameOf));
    announce("Exported the usage");
  };
  return (
    <div class="page page-usage">
      <div class="page-head">
        <h1>Usage</h1>
        <button type="button" class="button push" disabled={groups.length === 0} onClick={save}>
          <Icon of={Download} size={16} />
          Export as CSV
        </button>
      </div>
      <div class="usage-tools">
        <div class="switch" role="group" aria-label="Group by">
          {(Object.keys(WORDS) as By[]).map((each) => (
            <button key={each} type="button" aria-pressed={by.value === each} onClick={() => (by.value = each)}>
              {WORDS[each]}
            </button>
          ))}
        </div>
        <label class="choice">
          <span class="unseen">Value</span>
          <select value={metric.value} onChange={(event) => (metric.value = event.currentTarget.value as Metric)}>
            {Object.entries(METRICS).map(([name, words]) => (
              <option key={name} value={name}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <label class="choice">
          <span class="unseen">Period</span>
          <select value={days.value} onChange={(event) => (days.value = Number(event.currentTarget.value))}>
            <option value={7}>7 days</option>
            <option value={30}>30 days</option>
            <option value={90}>90 days</option>
          </select>
        </label>
      </div>
      {refused && <RefusalNote explained={refused} onAgain={() => void load(days.value)} />}
      {needsAgents && agentOfRun.state.value.refused && <RefusalNote explained={agentOfRun.state.value.refused} />}
      {!value && loading && <Spinner label="Loading usage" />}
      {value && groups.length === 0 && (
        <Empty title="No usage in this period">
          <p>Each call of a model appears here with its tokens and its cost. Calls of the built-in demo model are free and do not appear.</p>
        </Empty>
      )}
      {value && groups.length > 0 && (
        <>
          <Plot groups={groups} by={by.value} metric={metric.value} report={value} nameOf={nameOf} />
          <UsageTable groups={groups} by={by.value} nameOf={nameOf} />
        </>
      )}
      {value && value.entries.length >= MAX_ITEMS && <p class="small dim">This report covers only the newest {count(MAX_ITEMS)} charges.</p>}
    </div>
  );
}

function Plot({ groups, by, metric, report, nameOf }: { groups: readonly UsageGroup[]; by: By; metric: Metric; report: Report; nameOf: (group: UsageGroup) => string }) {
  const isByDay = by === "day";
  const shown = isByDay ? everyDay(groups, report.days, report.until) : largest(groups, metric, MAX_BARS, "others");
  const labelOf = (group: UsageGroup) => (isByDay ? dayOfMonth(Date.parse(group.key)) : group.key === "others" ? "All others" : nameOf(group));
  const bars = shown.map((group) => ({ key: group.key, label: labelOf(group), value: metricOf(group, metric) }));
  const properties = {
    bars,
    label: `${METRICS[metric]} by ${by}, last ${report.days} days`,
    groups: isByDay ? "Day (UTC)" : WORDS[by],
    values: METRICS[metric],
    format: metric === "credits" ? credits : short,
    isWhole: metric !== "credits",
  };
  return isByDay ? <ColumnChart {...properties} /> : <RowChart {...properties} />;
}

function UsageTable({ groups, by, nameOf }: { groups: readonly UsageGroup[]; by: By; nameOf: (group: UsageGroup) => string }) {
  return (
    <div class="table-scroll data" tabIndex={0} role="group" aria-label={`Usage by ${by}`}>
      <table>
        <thead>
          <tr>
            <th scope="col">{WORDS[by]}</th>
            {["Model calls", "Input tokens", "Output tokens", "Credits"].map((name) => (
              <th key={name} scope="col" class="right">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {groups.slice(0, MAX_ROWS).map((group) => (
            <tr key={group.key}>
              <td>{(by === "thread" || by === "run") && group.threadId ? <a href={`#/threads/${group.threadId}`}>{nameOf(group)}</a> : nameOf(group)}</td>
              <td class="right">{count(group.calls)}</td>
              <td class="right">{count(group.inputTokens)}</td>
              <td class="right">{count(group.outputTokens)}</td>
              <td class="right">{credits(group.credits)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {groups.length > MAX_ROWS && <p class="small dim usage-rest">The CSV file has all {count(groups.length)} rows.</p>}
    </div>
  );
}

function groupName({ key, threadId }: UsageGroup, by: By): string {
  switch (by) {
    case "day":
      return key === "" ? "Without a date" : day(Date.parse(key));
    case "model":
      return key || "Unknown model";
    case "agent":
      if (key === "") return "Calls outside runs";
      if (key === "built-in") return "Built-in agent";
      return agents.value?.find((agent) => agent.agentId === key)?.name ?? (key === "unknown" ? "Unknown agent" : "Deleted agent");
    case "thread":
      return key === "" ? "Calls outside runs" : threadName(key);
    case "run":
      return key === "" ? "Calls outside runs" : `${threadName(threadId)}, run ${key.slice(-6)}`;
  }
}

function threadName(threadId: string): string {
  return threads.value?.find((thread) => thread.threadId === threadId)?.name || `Thread ${threadId.slice(-6)}`;
}
