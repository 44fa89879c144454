// The account screen.
import { useEffect } from "preact/hooks";
import { ApiKeys } from "../parts/api_keys";
import { Secrets } from "../parts/secrets";
import { Meter, RefusalNote, Spinner, Words } from "../parts/basic";
import { account, isUnlimited, loadAccount } from "../stores/account";
import { bytes, credits, short } from "../view/format";
import { CHANGE_PLAN } from "../view/refusal";

export function Account() {
  useEffect(() => {
    document.title = "Account · Runyard";
    void loadAccount();
  }, []);
  const { value, refused } = account.state.value;
  return (
    <div class="page">
      <h1>Account</h1>
      {refused && <RefusalNote explained={refused} onAgain={() => void loadAccount()} />}
      {!value && !refused && <Spinner label="Loading the account" />}
      {value && (
        <>
          <section class="plan" aria-labelledby="plan">
            <div class="plan-details">
              <div>
                <h2 id="plan" class="small dim">
                  Plan
                </h2>
                <p class="big">{isUnlimited(value) ? "No limits" : value.tierName}</p>
                {isUnlimited(value) && <p class="small dim">This server has no plan limits and charges no credits.</p>}
              </div>
              {!isUnlimited(value) && (
                <div>
                  <h2 class="small dim">Credits</h2>
                  <p class="big numbers">{credits(value.credits)}</p>
                  <p class="small dim">
                    ${(value.credits / 100).toFixed(2)}
                    {value.credits <= 0 ? " (too low to start a run)" : value.credits < 20 ? " (running low)" : ""}
                  </p>
                </div>
              )}
              <div>
                <h2 class="small dim">Files</h2>
                <p class="big numbers">{bytes(value.maxUploadBytes)}</p>
                <p class="small dim">maximum size per file</p>
              </div>
            </div>
            <div class="meters">
              {value.concurrentRuns && <Meter label="Concurrent runs" used={value.concurrentRuns.used} limit={value.concurrentRuns.limit ?? null} />}
              {value.agents && <Meter label="Agents" used={value.agents.used} limit={value.agents.limit ?? null} />}
              {value.threads && <Meter label="Threads" used={value.threads.used} limit={value.threads.limit ?? null} />}
              {value.projects && <Meter label="Projects" used={value.projects.used} limit={value.projects.limit ?? null} />}
            </div>
            <p class="small dim">
              <a href="#/usage">Usage by day, model, agent and thread</a>
            </p>
            {!isUnlimited(value) && (
              <p class="small dim">
                <Words of={CHANGE_PLAN} />
              </p>
            )}
          </section>
          <section aria-labelledby="models">
            <h2 id="models">Models</h2>
            <div class="table-scroll data" tabIndex={0} role="group" aria-label="Models">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Model</th>
                    <th scope="col">In your plan</th>
                    <th scope="col" class="right">
                      Context (tokens)
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {value.models.map((model) => (
                    <tr key={model.modelName}>
                      <td>
                        <code>{model.modelName}</code>
                      </td>
                      <td>{model.allowed ? "Yes" : model.downgradedTo ? `No: ${model.downgradedTo} is used instead` : <span class="dim">No</span>}</td>
                      <td class="right">{short(model.contextWindow)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </section>
        </>
      )}
      <ApiKeys />
      <Secrets />
    </div>
  );
}
