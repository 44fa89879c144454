// The frame around every screen.
import { BookOpen, Bot, Brain, CalendarClock, ChartColumn, Command, Hand, LogOut, MessagesSquare, Monitor, Moon, Package, Plus, Rows3, ShieldCheck, Sun, UserRound, Webhook } from "lucide";
import type { IconNode } from "lucide";
import { lazy, Suspense } from "./parts/lazy";
import { useComputed, useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { RefusalNote, Spinner } from "./parts/basic";
import { Brand } from "./parts/brand";
import { DemoNote } from "./parts/demo_note";
import { Guard } from "./parts/guard";
import { Icon } from "./parts/icon";
import { isApple, listenToKeys } from "./parts/keys";
import { Palette } from "./parts/palette";
import { type Place, place } from "./router";
import { Home } from "./screens/home";
import { SignIn } from "./screens/sign_in";
import { ThreadScreen } from "./screens/thread";
import { Threads } from "./screens/threads";
import { identity } from "./session";
import { leave } from "./sign_in";
import { account, isUnlimited } from "./stores/account";
import { administrator, checkAdministrator } from "./stores/administration";
import { active, runningThreads, useActive, waitingThreads } from "./stores/active";
import { announcement } from "./stores/announce";
import { checkModel, forgetModel } from "./stores/demo";
import { pendingCount } from "./stores/inputs";
import { forgetRuns } from "./stores/live";
import { forgetLoaded } from "./stores/loaded";
import { type Theme, choose, theme } from "./stores/theme";
import { loadThreads, threads } from "./stores/threads";
import { credits } from "./view/format";

const Agents = lazy(() => import("./screens/agents").then((module) => module.Agents));
const AgentScreen = lazy(() => import("./screens/agent").then((module) => module.AgentScreen));
const Skills = lazy(() => import("./screens/skills").then((module) => module.Skills));
const Board = lazy(() => import("./screens/board").then((module) => module.Board));
const Waiting = lazy(() => import("./screens/waiting").then((module) => module.Waiting));
const MemoryScreen = lazy(() => import("./screens/memory").then((module) => module.MemoryScreen));
const Schedules = lazy(() => import("./screens/schedules").then((module) => module.Schedules));
const Webhooks = lazy(() => import("./screens/webhooks").then((module) => module.Webhooks));
const Usage = lazy(() => import("./screens/usage").then((module) => module.UsageScreen));
const Administration = lazy(() => import("./screens/administration").then((module) => module.Administration));
const Administered = lazy(() => import("./screens/administered").then((module) => module.Administered));
const SharedScreen = lazy(() => import("./screens/shared").then((module) => module.SharedScreen));
const Account = lazy(() => import("./screens/account").then((module) => module.Account));

/** The page of a share, which needs no sign-in; the sign-in form; or the frame with the current screen. */
export function App() {
  const signedIn = identity.value !== null;
  const where = place.value;
  useEffect(() => {
    if (signedIn) return;
    forgetRuns();
    forgetLoaded();
    forgetModel();
  }, [signedIn]);
  return (
    <>
      {where.screen === "shared" ? (
        <Suspense of={SharedScreen} fallback={null} properties={{ key: where.token, token: where.token }} />
      ) : signedIn ? (
        <Frame key={identity.value} />
      ) : (
        <SignIn />
      )}
      <div class="unseen" role="status" aria-live="polite">
        {announcement.value}
      </div>
    </>
  );
}

function Frame() {
  const palette = useSignal(false);
  const main = useRef<HTMLElement>(null);
  useActive();
  useEffect(() => {
    void loadThreads();
    void checkModel();
    void checkAdministrator();
    return listenToKeys(() => (palette.value = true));
  }, []);
  const where = place.value;
  const first = useRef(true);
  useEffect(() => {
    // The new screen gets the focus, so that screen readers start at its top. The home screen and the first screen
    // after a page load do not get the focus.
    if (first.current) first.current = false;
    else if (where.screen !== "home") main.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [JSON.stringify(where)]);
  return (
    <div class="frame">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to content
      </a>
      <Side where={where} onPalette={() => (palette.value = true)} />
      <main id="main" ref={main} tabIndex={-1}>
        {/* A thread fills the window, so it shows the note below its head. */}
        {where.screen !== "thread" && (
          <div class="frame-note">
            <DemoNote />
          </div>
        )}
        <Guard at={JSON.stringify(where)}>
          <Screen where={where} />
        </Guard>
      </main>
      <Tabs where={where} />
      {palette.value && <Palette onClose={() => (palette.value = false)} />}
    </div>
  );
}

function Screen({ where }: { where: Place }) {
  const waiting = (
    <div class="page">
      <Spinner label="Loading" />
    </div>
  );
  switch (where.screen) {
    case "home":
      return <Home />;
    case "threads":
      return <Threads />;
    case "thread":
      return <ThreadScreen key={where.threadId} threadId={where.threadId} />;
    case "runs":
      return <Suspense of={Board} fallback={waiting} properties={{}} />;
    case "waiting":
      return <Suspense of={Waiting} fallback={waiting} properties={{}} />;
    case "agents":
      return <Suspense of={Agents} fallback={waiting} properties={{}} />;
    case "agent":
      return (
        <Suspense of={AgentScreen} fallback={waiting} properties={{ key: where.agentId ?? "new", agentId: where.agentId, tab: where.tab }} />
      );
    case "skills":
      return <Suspense of={Skills} fallback={waiting} properties={{}} />;
    case "memory":
      return <Suspense of={MemoryScreen} fallback={waiting} properties={{}} />;
    case "schedules":
      return <Suspense of={Schedules} fallback={waiting} properties={{}} />;
    case "webhooks":
      return <Suspense of={Webhooks} fallback={waiting} properties={{}} />;
    case "usage":
      return <Suspense of={Usage} fallback={waiting} properties={{}} />;
    case "account":
      return <Suspense of={Account} fallback={waiting} properties={{}} />;
    case "administration":
      return <AdministrationGate accountId={where.accountId} waiting={waiting} />;
    case "shared":
    case "missing":
      return <Missing />;
  }
}

function Missing() {
  return (
    <div class="page">
      <h1>Page not found</h1>
      <p>
        <a href="#/">Start a run</a> or open your <a href="#/threads">threads</a>.
      </p>
    </div>
  );
}

/** For a caller who is not an administrator, the page does not exist. */
function AdministrationGate({ accountId, waiting }: { accountId: string | null; waiting: VNode }) {
  const { value, refused } = administrator.state.value;
  if (value === false) return <Missing />;
  if (value === null && refused) {
    return (
      <div class="page">
        <RefusalNote explained={refused} onAgain={() => void checkAdministrator()} />
      </div>
    );
  }
  if (value === null) return waiting;
  if (accountId === null) return <Suspense of={Administration} fallback={waiting} properties={{}} />;
  return <Suspense of={Administered} fallback={waiting} properties={{ key: accountId, accountId }} />;
}

interface Entry {
  to: string;
  label: string;
  icon: IconNode;
  screens: Place["screen"][];
  /** Whether only administrators see the link. */
  isForAdministrators?: boolean;
}

const ENTRIES: Entry[] = [
  { to: "/", label: "New run", icon: Plus, screens: ["home"] },
  { to: "/threads", label: "Threads", icon: MessagesSquare, screens: ["threads", "thread"] },
  { to: "/runs", label: "Runs", icon: Rows3, screens: ["runs"] },
  { to: "/waiting", label: "Waiting for you", icon: Hand, screens: ["waiting"] },
  { to: "/agents", label: "Agents", icon: Bot, screens: ["agents", "agent"] },
  { to: "/skills", label: "Skills", icon: Package, screens: ["skills"] },
  { to: "/memory", label: "Memory", icon: Brain, screens: ["memory"] },
  { to: "/schedules", label: "Schedules", icon: CalendarClock, screens: ["schedules"] },
  { to: "/webhooks", label: "Webhooks", icon: Webhook, screens: ["webhooks"] },
  { to: "/usage", label: "Usage", icon: ChartColumn, screens: ["usage"] },
  { to: "/account", label: "Account", icon: UserRound, screens: ["account"] },
  { to: "/administration", label: "Administration", icon: ShieldCheck, screens: ["administration"], isForAdministrators: true },
];

/** The bottom bar of a phone has no room for the pending inputs, so the header links to them. */
function Links({ where, isBar = false }: { where: Place; isBar?: boolean }) {
  const running = active.value?.length ?? 0;
  const inputs = pendingCount.value;
  return (
    <ul>
      {ENTRIES.filter((entry) => (!isBar || entry.to !== "/waiting") && (!entry.isForAdministrators || administrator.value === true)).map((entry) => (
        <li key={entry.to}>
          <a href={`#${entry.to}`} class="nav-link" aria-current={entry.screens.includes(where.screen) ? "page" : undefined}>
            <Icon of={entry.icon} size={19} />
            <span>{entry.label}</span>
            {entry.to === "/runs" && running > 0 && (
              <span class="badge badge-live">
                {running}
                <span class="unseen"> running</span>
              </span>
            )}
            {entry.to === "/waiting" && inputs > 0 && (
              <span class="badge badge-asks">
                {inputs}
                <span class="unseen"> pending</span>
              </span>
            )}
          </a>
        </li>
      ))}
    </ul>
  );
}

function Side({ where, onPalette }: { where: Place; onPalette: () => void }) {
  const recent = useComputed(() => (threads.value ?? []).slice(0, 12));
  const here = where.screen === "thread" ? where.threadId : null;
  return (
    <header class="side">
      <div class="side-top">
        <a class="side-brand" href="#/" aria-label="Runyard home">
          <Brand />
        </a>
        <button type="button" class="button-icon side-palette" aria-label="Find a page, thread or agent" title={`Find a page, thread or agent (${isApple ? "⌘" : "Ctrl"}+K)`} onClick={onPalette}>
          <Icon of={Command} size={17} />
        </button>
      </div>
      <nav class="side-nav" aria-label="Main">
        <Links where={where} />
      </nav>
      {recent.value.length > 0 && (
        <nav class="side-threads" aria-label="Recent threads">
          <h2 class="small dim">Recent</h2>
          <ul>
            {recent.value.map((thread) => (
              <li key={thread.threadId}>
                <a href={`#/threads/${thread.threadId}`} class="side-thread" aria-current={thread.threadId === here ? "page" : undefined}>
                  {waitingThreads.value.has(thread.threadId) && (
                    <span class="side-asks" role="img" aria-label="Waiting for you:">
                      <Icon of={Hand} size={14} />
                    </span>
                  )}
                  {runningThreads.value.has(thread.threadId) && <span class="pulse" role="img" aria-label="Running:" />}
                  <span>{thread.name || "Untitled"}</span>
                </a>
              </li>
            ))}
          </ul>
        </nav>
      )}
      <div class="side-foot">
        {account.state.value.refused && !account.value && <RefusalNote explained={account.state.value.refused} />}
        {account.value && (
          <a class="side-plan" href="#/account">
            {isUnlimited(account.value) ? (
              <span>No limits</span>
            ) : (
              <>
                <span>{account.value.tierName}</span>
                <span class="numbers">{credits(account.value.credits)} credits</span>
              </>
            )}
          </a>
        )}
        <div class="side-tools">
          {pendingCount.value > 0 && (
            <a class="side-waiting" href="#/waiting" aria-label={`Waiting for you, ${pendingCount.value} pending`}>
              <Icon of={Hand} size={17} />
              <span class="badge badge-asks">{pendingCount.value}</span>
            </a>
          )}
          <ThemeSwitch />
          <a class="button-icon side-docs" href="/docs" aria-label="API reference" title="API reference">
            <Icon of={BookOpen} size={17} />
          </a>
          <button type="button" class="button-icon" aria-label="Sign out" title="Sign out" onClick={() => void leave()}>
            <Icon of={LogOut} size={17} />
          </button>
        </div>
      </div>
    </header>
  );
}

const THEMES: { value: Theme; label: string; icon: IconNode }[] = [
  { value: "light", label: "Light", icon: Sun },
  { value: "dark", label: "Dark", icon: Moon },
  { value: "system", label: "System", icon: Monitor },
];

function ThemeSwitch() {
  return (
    <div class="theme-switch" role="group" aria-label="Theme">
      {THEMES.map(({ value, label, icon }) => (
        <button key={value} type="button" aria-pressed={theme.value === value} aria-label={label} title={label} onClick={() => choose(value)}>
          <Icon of={icon} size={15} />
        </button>
      ))}
    </div>
  );
}

function Tabs({ where }: { where: Place }) {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    // The bar has more links than a phone can show, so the current one is scrolled into view.
    const show = () => {
      const link = bar.current?.querySelector<HTMLElement>("[aria-current]");
      const list = link?.closest("ul");
      if (link && list) list.scrollLeft = link.offsetLeft - (list.clientWidth - link.offsetWidth) / 2;
    };
    const observer = new ResizeObserver(show);
    observer.observe(bar.current!);
    show();
    return () => observer.disconnect();
  }, [where.screen]);
  return (
    <nav ref={bar} class="tabs" aria-label="Main (bottom bar)">
      <Links where={where} isBar />
    </nav>
  );
}
