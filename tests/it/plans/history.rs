//! Fills a PostgreSQL database with finished runs, and vacuums and analyzes it, so that the planner has statistics of a
//! long history. Dead rows of the test's own runs would make small indexes look expensive.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

const FILL: &[&str] = &[
    "INSERT INTO accounts (id, issuer, subject, tier, created_at) \
     SELECT gen_random_uuid(), 'history', 'account ' || n, 'free', now() FROM generate_series(1, 20) n",
    "INSERT INTO agents (id, account_id, name, icon_name, icon_color, icon_background, is_default, is_public, tags, \
     current_version_id, version_count, created_at, updated_at) SELECT gen_random_uuid(), a.id, 'agent ' || n, 'bot', '', '', \
     n = 1, FALSE, '[]', gen_random_uuid(), 1, now(), now() FROM accounts a, generate_series(1, 10) n WHERE issuer = 'history'",
    "INSERT INTO agent_versions (id, agent_id, account_id, number, system_prompt, model, configured_mcps, custom_mcps, tools, \
     created_at, updated_at) SELECT current_version_id, id, account_id, 1, '', '', '[]', '[]', '{}', now(), now() FROM agents \
     ON CONFLICT DO NOTHING",
    "INSERT INTO projects (id, account_id, name, created_at, updated_at) SELECT gen_random_uuid(), id, 'project', \
     now() - n * interval '1 hour', now() - n * interval '1 hour' FROM accounts, generate_series(1, 20) n WHERE issuer = 'history'",
    "INSERT INTO sandboxes (id, project_id, account_id, created_at) SELECT gen_random_uuid(), id, account_id, now() \
     FROM projects ON CONFLICT DO NOTHING",
    "INSERT INTO threads (id, account_id, project_id, name, created_at, updated_at) SELECT gen_random_uuid(), account_id, id, \
     'thread', created_at, created_at FROM projects, generate_series(1, 2) n WHERE name = 'project'",
    "INSERT INTO runs (id, account_id, thread_id, project_id, status, mode, model_used, lease_epoch, stop_requested, steps, \
     input_tokens, output_tokens, microcredits, last_sequence, created_at, request_key, request_hash) \
     SELECT gen_random_uuid(), account_id, id, project_id, 2, 'chat', 'model', 1, FALSE, 1, 1, 1, 1, 3, created_at, \
     'history ' || id || n, '' FROM threads, generate_series(1, 3) n WHERE name = 'thread'",
    "INSERT INTO run_events (run_id, sequence, terminal, payload) SELECT id, n, n = 3, '\\x00' FROM runs, generate_series(1, 3) n \
     WHERE mode = 'chat' ON CONFLICT DO NOTHING",
    "INSERT INTO messages (id, account_id, thread_id, run_id, turn, role, content, is_error, partial, created_at) \
     SELECT gen_random_uuid(), account_id, thread_id, id, id, n, 'text', FALSE, FALSE, created_at \
     FROM runs, generate_series(1, 2) n WHERE mode = 'chat'",
    "INSERT INTO uploads (id, account_id, name, size, received, digest, run_id, placed_as, placed, created_at) \
     SELECT gen_random_uuid(), account_id, 'file', 1, 1, '', id, 'file', TRUE, created_at FROM runs WHERE mode = 'chat'",
    // With few accounts, the planner may read all balances to change some.
    "INSERT INTO accounts (id, issuer, subject, tier, created_at) \
     SELECT gen_random_uuid(), 'many', 'account ' || n, 'free', now() FROM generate_series(1, 2000) n",
    "INSERT INTO balances (account_id, microcredits, granted_month) SELECT id, 0, 1 FROM accounts ON CONFLICT DO NOTHING",
    "INSERT INTO ledger_entries (id, account_id, debited, credited, microcredits, uncollected, run_id, step, thread_id, \
     input_tokens, output_tokens, estimated, created_at) SELECT gen_random_uuid(), account_id, 1, 3, 1, 0, id, 1, thread_id, \
     1, 1, FALSE, created_at FROM runs WHERE mode = 'chat' ON CONFLICT DO NOTHING",
    "INSERT INTO api_keys (id, account_id, name, prefix, salt, hash, scope, created_at, revoked_at) SELECT gen_random_uuid(), id, \
     'key', 'history' || id || n, '\\x00', '\\x00', 1, now(), now() FROM accounts, generate_series(1, 20) n \
     WHERE issuer = 'history'",
    "INSERT INTO memories (id, account_id, agent_id, text, words, created_at, updated_at) SELECT gen_random_uuid(), account_id, \
     id, 'a fact', 'fact:1', now(), now() FROM agents, generate_series(1, 20) n WHERE name LIKE 'agent %'",
    "INSERT INTO webhooks (id, account_id, url, events, enabled, secret, failures, created_at, updated_at) \
     SELECT gen_random_uuid(), id, 'https://example.com', 4, TRUE, '', 0, now(), now() FROM accounts WHERE issuer = 'history'",
    "INSERT INTO webhook_deliveries (id, webhook_id, account_id, event, sequence, state, attempts, created_at, queued_at, due_at, \
     finished_at) SELECT gen_random_uuid(), id, account_id, 2, 3, 2, 1, now(), now(), now(), now() FROM webhooks, \
     generate_series(1, 200) n WHERE secret = ''",
    "INSERT INTO schedules (id, account_id, name, cron, time_zone, prompt, model, mode, overlap, max_failures, paused, counted_from, \
     created_at, updated_at) SELECT gen_random_uuid(), id, 'history', '* * * * *', 'UTC', '', '', '', 1, 5, TRUE, now(), now(), now() \
     FROM accounts, generate_series(1, 5) n WHERE issuer = 'history'",
    "INSERT INTO schedule_runs (schedule_id, account_id, occurrence, manual, outcome, due_at, created_at) SELECT id, account_id, \
     now() - n * interval '1 hour', FALSE, 1, now(), now() - n * interval '1 hour' FROM schedules, generate_series(1, 200) n \
     WHERE name = 'history'",
    "INSERT INTO account_secrets (id, account_id, name, value, hosts, created_at, updated_at) SELECT gen_random_uuid(), id, \
     'history ' || n, '', '[]', now(), now() FROM accounts, generate_series(1, 20) n WHERE issuer = 'history'",
    "INSERT INTO shares (id, account_id, thread_id, prefix, salt, hash, created_at) SELECT gen_random_uuid(), account_id, id, \
     'history' || id || n, '\\x00', '\\x00', now() FROM threads, generate_series(1, 5) n WHERE name = 'thread'",
    "VACUUM ANALYZE",
];

/// Fills the database once. Call this function only after the test server has stopped.
pub(super) async fn fill(db: &DatabaseConnection) {
    let filled = Statement::from_string(
        DbBackend::Postgres,
        "SELECT 1 FROM accounts WHERE issuer = 'history' LIMIT 1",
    );
    if db.query_one_raw(filled).await.unwrap().is_some() {
        return;
    }
    for sql in FILL {
        let done = db.execute_unprepared(sql).await;
        done.unwrap_or_else(|fault| panic!("{fault}: {sql}"));
    }
}
