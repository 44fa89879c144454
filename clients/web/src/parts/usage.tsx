// The usage report: charges by day, thread or run.
import { useSignal } from "@preact/signals";
import type { UsageEntry } from "@runyard/client";
import { useEffect, useMemo } from "preact/hooks";
import { runyard } from "../client";
import { Loadable } from "../stores/loaded";
import { threads } from "../stores/threads";
import { count, credits, day } from "../view/format";
import { type By, groupUsage } from "../view/usage";
import { RefusalNote, Spinner } from "./basic";

const MAX_CHARGES = 5_000;

const usage = new Loadable<{ entries: readonly UsageEntry[]; days: number }>();

export function UsageReport() {
  const by = useSignal<By>("day");
  const days = useSignal(30);
  useEffect(() => {
    const period = days.value;
    void usage.load(async () => ({
      days: period,
      entries: await runyard()
        .account.usage({ pageSize: 200, createdAfter: new Date(Date.now() - period * 86_400_000) })
        .all(MAX_CHARGES),
    }));
  }, [days.value]);
  const { value, refused } = usage.state.value;
  const groups = useMemo(() => groupUsage(value?.entries ?? [], by.value), [value, by.value]);
  const most = Math.max(...groups.map((group) => group.credits), 0);
  const mostTokens = Math.max(...groups.map((group) => group.inputTokens + group.outputTokens), 1);
  const share = (group: (typeof groups)[number]) => (most > 0 ? group.credits / most : (group.inputTokens + group.outputTokens) / mostTokens);
  return (
    <section aria-labelledby="usage">
      <div class="section-head">
        <h2 id="usage">Usage</h2>
        <div class="switch" role="group" aria-label="Group by">
          {(["day", "thread", "run"] as const).map((each) => (
            <button key={each} type="button" aria-pressed={by.value === each} onClick={() => (by.value = each)}>
              By {each}
            </button>
          ))}
        </div>
        <label class="choice push">
          <span class="unseen">Period</span>
          <select value={days.value} onChange={(event) => (days.value = Number(event.currentTarget.value))}>
            <option value={7}>7 days</option>
            <option value={30}>30 days</option>
            <option value={90}>90 days</option>
          </select>
        </label>
      </div>
      {refused && <RefusalNote explained={refused} />}
      {!value && !refused && <Spinner label="Loading usage" />}
      {value && groups.length === 0 && <p class="dim">No usage in this period.</p>}
      {groups.length > 0 && (
        <div class="table-scroll data" tabIndex={0} role="group" aria-label={`Usage by ${by.value}`}>
          <table>
            <thead>
              <tr>
                <th scope="col">{by.value === "day" ? "Day" : by.value === "thread" ? "Thread" : "Run"}</th>
                <th scope="col" class="usage-bar-head">
                  <span class="unseen">Share</span>
                </th>
                <th scope="col" class="right">
                  Model calls
                </th>
                <th scope="col" class="right">
                  Input tokens
                </th>
                <th scope="col" class="right">
                  Output tokens
                </th>
                <th scope="col" class="right">
                  Credits
                </th>
              </tr>
            </thead>
            <tbody>
              {groups.slice(0, 100).map((group) => (
                <tr key={group.key}>
                  <td>{by.value === "day" ? day(Date.parse(group.key)) : <a href={`#/threads/${group.threadId}`}>{by.value === "thread" ? threadName(group.threadId) : `${group.key.slice(-12)}`}</a>}</td>
                  <td class="usage-bar">
                    <span style={{ width: `${Math.max(2, share(group) * 100)}%` }} />
                  </td>
                  <td class="right">{count(group.calls)}</td>
                  <td class="right">{count(group.inputTokens)}</td>
                  <td class="right">{count(group.outputTokens)}</td>
                  <td class="right">{credits(group.credits)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {value && value.entries.length >= MAX_CHARGES && <p class="small dim">This report covers only the newest {count(MAX_CHARGES)} charges.</p>}
    </section>
  );
}

function threadName(threadId: string): string {
  return threads.value?.find((thread) => thread.threadId === threadId)?.name ?? threadId.slice(-12);
}
